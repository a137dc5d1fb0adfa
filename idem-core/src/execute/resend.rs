//! Sending a store call again until its effect is known.

use std::future::Future;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::{Instant, sleep, timeout};

use crate::{Error, ErrorKind, Operation, Result};

/// Sends `call` until it answers anything but an error that is worth another try, for `window` altogether.
///
/// Right because the contract makes every call safe to resend; a call cut off by the window is one whose
/// answer was lost.
pub(super) async fn resend<T, F, Fut>(window: Duration, operation: Operation, mut call: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let begun = Instant::now();
    let left = || window.saturating_sub(begun.elapsed());
    let mut pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(10))
        .with_max_delay(Duration::from_millis(500))
        .without_max_times()
        .with_jitter()
        .build();
    let mut before = None;
    loop {
        let error = match timeout(left(), call()).await {
            Ok(Err(error)) if again(operation, error.kind()) => error,
            Ok(answer) => return answer,
            Err(_) => return Err(no_answer(window, operation, before)),
        };
        match pauses.next() {
            Some(pause) if pause < left() => sleep(pause).await,
            _ => return Err(error),
        }
        before = Some(error);
    }
}

/// A `complete` is worth more than other calls: the work is done, and a full store may have room in a moment.
fn again(operation: Operation, kind: ErrorKind) -> bool {
    kind.is_transient() || operation == Operation::Complete && kind == ErrorKind::Full
}

fn no_answer(window: Duration, operation: Operation, before: Option<Error>) -> Error {
    let error =
        Error::new(ErrorKind::Timeout, operation, format!("the store gave no answer within {window:?}"));
    match before {
        Some(before) => error.with_source(before),
        None => error,
    }
}
