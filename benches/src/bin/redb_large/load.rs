//! Cycles of fresh keys on a file of a given size.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use idem_benches::{RETENTION, Result, fill, keys};
use idem_core::Store;
use tokio::time::Instant;

use crate::{KIB, open};

const SPAN: Duration = Duration::from_secs(2);
const CALLERS: usize = 64;

/// The result of a round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Cycles per second of 64 callers.
    pub(crate) many: f64,
    /// Cycles per second of one caller.
    pub(crate) one: f64,
    /// What one commit of the single caller wrote.
    pub(crate) written_kib: f64,
}

impl Load {
    pub(crate) fn median(rounds: &mut [Self]) -> Self {
        let mut of = |value: fn(&Self) -> f64| {
            rounds.sort_by(|one, other| value(one).total_cmp(&value(other)));
            value(&rounds[rounds.len() / 2])
        };
        Self {
            many: of(|round| round.many),
            one: of(|round| round.one),
            written_kib: of(|round| round.written_kib),
        }
    }
}

pub(crate) async fn measure(path: &Path, quick_repair: bool) -> Result<Load> {
    let store: Arc<dyn Store> = Arc::new(open(path, quick_repair, |config| config.sweep = false).await?);
    let many = cycles(&store, CALLERS).await?;
    let before = written()?;
    let one = cycles(&store, 1).await?;
    let written_kib = (written()? - before) / 1_024.0 / (2.0 * one * SPAN.as_secs_f64());
    store.close().await?;
    Ok(Load { many, one, written_kib })
}

/// Cycles per second of this many callers.
async fn cycles(store: &Arc<dyn Store>, callers: usize) -> Result<f64> {
    let done = Arc::new(AtomicU64::new(0));
    let until = Instant::now() + SPAN;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let (store, done) = (Arc::clone(store), Arc::clone(&done));
        tasks.spawn(async move {
            while Instant::now() < until {
                fill(&store, &keys(1), KIB, RETENTION).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
    }
    tasks.join_all().await.into_iter().collect::<Result<()>>()?;
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 cycles")]
    let done = done.load(Ordering::Relaxed) as f64;
    Ok(done / SPAN.as_secs_f64())
}

/// How many bytes this process has passed to the system to write.
fn written() -> Result<f64> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let bytes = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    Ok(bytes.ok_or("the system does not count what is written")?.parse()?)
}
