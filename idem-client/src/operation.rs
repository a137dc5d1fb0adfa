//! One operation: the same request with the same key, until there is a final answer.

use std::time::Duration;

use reqwest::{Request, Response};
use tokio::time::{Instant, sleep};

use crate::answer::{is_worth_repeating, retry_after};
use crate::error::{Error, Failure};
use crate::options::Options;
use crate::{BoxError, ClientKey};

/// What a sending that failed says.
pub(crate) enum NotSent {
    /// The next one may succeed.
    Perhaps(BoxError),
    /// None will.
    Never(BoxError),
}

/// What sends a request once.
pub(crate) trait Transport: Send {
    fn send(&mut self, request: Request) -> impl Future<Output = Result<Response, NotSent>> + Send;
}

/// Sends `request` by `transport` until its answer is final.
pub(crate) async fn run(
    options: &Options,
    mut request: Request,
    mut transport: impl Transport,
) -> Result<Response, Error> {
    let key = match options.key(&mut request) {
        Ok(key) => key,
        Err(source) => return Err(Error::new(None, 0, Failure::NotPersisted(source.into()))),
    };
    if let Err(source) = options.keep(key.as_ref(), &request).await {
        return Err(Error::new(key, 0, Failure::NotPersisted(source)));
    }
    let begun = Instant::now();
    let mut pauses = options.policy.pauses();
    let mut attempts = 0;
    loop {
        attempts += 1;
        let again = request.try_clone();
        let (failure, asked) = match transport.send(request).await {
            Ok(answer) if !is_worth_repeating(&answer) => return Ok(answer),
            Ok(answer) => {
                let asked = retry_after(answer.headers());
                (Failure::Later(Box::new(answer)), asked)
            }
            Err(NotSent::Perhaps(source)) => (Failure::NotAnswered(source), None),
            Err(NotSent::Never(source)) => return Err(given_up(key, attempts, Failure::NotAnswered(source))),
        };
        // A stream is gone with its first sending.
        let (Some(next), Some(pause)) = (again, pauses.next()) else {
            return Err(given_up(key, attempts, failure));
        };
        let pause = pause.max(asked.unwrap_or(Duration::ZERO));
        if begun.elapsed().saturating_add(pause) > options.policy.window {
            return Err(given_up(key, attempts, failure));
        }
        // Its connection is given back meanwhile.
        drop(failure);
        sleep(pause).await;
        request = next;
    }
}

fn given_up(key: Option<ClientKey>, attempts: usize, failure: Failure) -> Error {
    Error::new(key, attempts, failure)
}

/// Whether another sending may do better. With a key none can do harm.
pub(crate) fn not_sent(error: reqwest::Error) -> NotSent {
    if error.is_builder() || error.is_redirect() {
        NotSent::Never(error.into())
    } else {
        NotSent::Perhaps(error.into())
    }
}
