//! Waiting for what a server tells to nobody by itself.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// A server tells of no change by itself.
const PAUSE: Duration = Duration::from_millis(5);

/// Asks until the answer is yes, or `longest` is over: then what was missing last.
pub(super) async fn poll<F>(longest: Duration, mut ask: impl FnMut() -> F) -> Result<(), String>
where
    F: Future<Output = Result<(), String>>,
{
    let deadline = Instant::now() + longest;
    loop {
        match ask().await {
            Ok(()) => return Ok(()),
            Err(missing) if Instant::now() > deadline => return Err(format!("{missing}, for {longest:?}")),
            Err(_) => sleep(PAUSE).await,
        }
    }
}
