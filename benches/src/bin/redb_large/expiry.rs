//! How the file shrinks once its records have expired.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use idem_benches::{RETENTION, Result, fill, keys};
use idem_core::{ManualClock, Store, Timestamp};
use idem_redb::{RedbConfig, RedbStore};
use tokio::time::{Instant, sleep};

use crate::{KIB, MIB, length};

const CALLERS: usize = 8;
const MOST: Duration = Duration::from_mins(10);
const SHORT: Duration = Duration::from_hours(1);

/// Lets everything expire beside a few callers, and prints the size of the file as it goes.
pub(crate) async fn expire(path: &Path) -> Result<()> {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)? + RETENTION + SHORT;
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(u64::try_from(wall.as_micros())?)));
    let opened = RedbStore::builder(RedbConfig::new(path)).clock(clock.clone()).open().await?;
    let store: Arc<dyn Store> = Arc::new(opened.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
        callers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                fill(&store, &keys(1), KIB, SHORT).await?;
            }
            Ok(())
        });
    }
    let begun = Instant::now();
    println!("\nexpired: after s | records left | file MiB");
    while begun.elapsed() < MOST {
        let left = opened.stats().await?.completed;
        println!("{:16} | {left:12} | {}", begun.elapsed().as_secs(), length(path)? / MIB);
        // Ten minutes of the store's time in each second, so that what the callers make expires too.
        clock.advance(Duration::from_mins(10));
        sleep(Duration::from_secs(5)).await;
        if left < 100_000 && begun.elapsed() > Duration::from_secs(60) {
            break;
        }
    }
    stop.store(true, Ordering::Relaxed);
    callers.join_all().await.into_iter().collect::<Result<()>>()?;
    println!("quiet: file {} MiB", length(path)? / MIB);
    let begun = Instant::now();
    let compacted = opened.compact().await;
    println!("compact: {compacted:?} in {:?}, file {} MiB", begun.elapsed(), length(path)? / MIB);
    Ok(opened.close().await?)
}
