//! How the file shrinks once its records have expired.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use idem_benches::{RETENTION, Result};
use idem_core::clock::{Clock as _, ManualClock, SystemClock};
use idem_redb::{RedbConfig, RedbStore};
use tokio::time::{Instant, sleep};

use crate::{MIB, length};

const MOST: Duration = Duration::from_mins(20);
/// The file is compacted once fewer records than this are left.
const FEW: u64 = 50_000;

/// Lets all records expire, waits until few are left, and prints the size of the file on the way. Then compacts the file,
/// and prints the time and the size.
pub(crate) async fn expire(path: &Path) -> Result<()> {
    let clock = ManualClock::new(SystemClock.wall() + RETENTION + Duration::from_hours(1));
    let mut config = RedbConfig::new(path);
    config.call_timeout = MOST;
    let store = RedbStore::builder(config).clock(Arc::new(clock)).open().await?;
    let begun = Instant::now();
    println!("\nafter s | records left | file MiB");
    let mut printed = u64::MAX;
    loop {
        let left = store.stats().await?.completed;
        if left < printed / 2 || left < FEW {
            println!("{:7} | {left:12} | {}", begun.elapsed().as_secs(), length(path)? / MIB);
            printed = left;
        }
        if left < FEW {
            break;
        }
        if begun.elapsed() > MOST {
            return Err("the sweep does not come to its end".into());
        }
        sleep(Duration::from_millis(100)).await;
    }
    let begun = Instant::now();
    let compacted = store.compact().await?;
    println!("compacted: {compacted}, in {:?}, file {} MiB", begun.elapsed(), length(path)? / MIB);
    Ok(store.close().await?)
}
