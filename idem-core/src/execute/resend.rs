//! Sending a store call again until its effect is known.

use std::future::Future;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use tokio::time::timeout;

use crate::{Error, ErrorKind, Operation, Result};

/// Sends `call` until it answers anything but a transient error, for `window` altogether.
///
/// Right because the contract makes every call safe to resend; a call cut off by the window is one whose
/// answer was lost.
pub(super) async fn resend<T, F, Fut>(window: Duration, operation: Operation, call: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(10))
        .with_max_delay(Duration::from_millis(500))
        .with_total_delay(Some(window))
        .without_max_times()
        .with_jitter();
    let sent = call.retry(pauses).when(|error: &Error| error.kind().is_transient());
    match timeout(window, sent).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::new(
            ErrorKind::Timeout,
            operation,
            format!("the store gave no answer within {window:?}"),
        )),
    }
}
