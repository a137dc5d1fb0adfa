//! Waits for changes that a server does not announce.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The pause between two polls.
const PAUSE: Duration = Duration::from_millis(5);

/// Calls `ask` until it succeeds. After `longest`, fails with its last error.
pub(crate) async fn poll<F>(longest: Duration, mut ask: impl FnMut() -> F) -> Result<(), String>
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
