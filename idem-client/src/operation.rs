//! One operation: sends the same request with the same key until the answer is final.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Request, Response};
use tokio::time::{Instant, sleep, timeout};

use crate::box_error::BoxError;
use crate::error::{Error, Failure};
use crate::request::key::ClientKey;
use crate::request::lifetime::Lifetime;
use crate::request::resumed::Resumed;
use crate::response::answer::{
    is_retryable, may_concern_one_attempt, whole_body, with_body, without_connection,
};
use crate::response::redirect::{RedirectRule, came_from_elsewhere, with_rule};
use crate::response::retry_after::retry_after;
use crate::retry::jitter::Pauses;
use crate::settings::hooks::Answered;
use crate::settings::options::Options;

/// The shortest pause of an operation that found the budget exhausted.
const BUDGET_PAUSE: Duration = Duration::from_millis(10);

/// Why an attempt failed.
pub(crate) enum SendError {
    /// The next attempt may succeed.
    Retryable(BoxError),
    /// No attempt will succeed.
    Final(Failure),
}

/// Sends a request once.
pub(crate) trait Transport: Send {
    fn send(&mut self, request: Request) -> impl Future<Output = Result<Response, SendError>> + Send;
}

/// The result of an attempt that was answered.
enum Sent {
    /// A final answer, with its body where that is to be read.
    Final(Response, Option<Bytes>),
    /// An answer after which the request is sent again.
    Later(Response),
}

/// Sends `request` by `transport` until its answer is final.
pub(crate) async fn run(
    options: &Options,
    mut request: Request,
    resumed: Option<Resumed>,
    mut transport: impl Transport,
) -> Result<Response, Error> {
    let begun = Instant::now();
    let mut operation = Operation { is_resumed: resumed.is_some(), key: None, attempts: 0 };
    let (window, lifetime) = prepare(options, &mut request, resumed, &mut operation).await?;
    // Checked by the wall clock too: the monotonic clock may stand still while the machine sleeps.
    let left = || {
        let over = lifetime.is_over((options.now)());
        if over { Duration::ZERO } else { window.saturating_sub(begun.elapsed()) }
    };
    let mut pauses = Pauses::of(&options.policy);
    options.budget.deposit();
    let mut time = window;
    loop {
        operation.attempts += 1;
        let again = request.try_clone();
        let attempt = attempt(options, request, &mut transport);
        let (failure, asked) = match timeout(options.policy.attempt_timeout.min(time), attempt).await {
            Ok(Ok(Sent::Final(answer, body))) => return answered(options, operation, answer, body).await,
            Ok(Ok(Sent::Later(answer))) => {
                let asked = retry_after(answer.headers(), (options.now)(), options.policy.longest_pause);
                (Failure::Later(Box::new(answer)), asked)
            }
            Ok(Err(SendError::Retryable(source))) => (Failure::NotAnswered(source), None),
            Ok(Err(SendError::Final(failure))) => return Err(operation.failed(failure)),
            Err(_) => (Failure::NotAnswered("no answer within the time for one sending".into()), None),
        };
        // A stream is consumed by its first attempt.
        let Some(next) = again.filter(|_| operation.attempts < options.policy.attempts) else {
            return Err(operation.failed(failure));
        };
        let Some(left) = wait(options, &mut pauses, asked, left).await else {
            return Err(operation.failed(failure));
        };
        (request, time) = (next, left);
    }
}

/// The state of an operation.
struct Operation {
    is_resumed: bool,
    key: Option<ClientKey>,
    attempts: usize,
}

impl Operation {
    fn failed(self, failure: Failure) -> Error {
        Error::new(self.key, self.attempts, failure)
    }
}

/// Determines the key, and has the request kept, unless it is resumed. Returns how long the operation may take, and for how
/// long its key may be sent.
async fn prepare(
    options: &Options,
    request: &mut Request,
    resumed: Option<Resumed>,
    operation: &mut Operation,
) -> Result<(Duration, Lifetime), Error> {
    let policy = &options.policy;
    if let Some(Resumed { key, lifetime }) = resumed {
        return match lifetime.check((options.now)()) {
            Ok(()) => {
                operation.key = Some(key);
                Ok((policy.window, lifetime))
            }
            Err(source) => Err(Error::new(Some(key), 0, Failure::NotResumed(source))),
        };
    }
    let key = options.key(request).map_err(|refused| Error::new(None, 0, Failure::KeyRefused(refused)))?;
    let window = policy.window.min(policy.retention);
    let lifetime = Lifetime::new((options.now)(), policy.retention);
    let kept = timeout(window, options.keep(key.as_ref(), request, lifetime)).await;
    match kept.unwrap_or_else(|_| Err("the hook did not end within the window".into())) {
        Ok(()) => {
            operation.key = key;
            Ok((window, lifetime))
        }
        Err(source) => Err(Error::new(key, 0, Failure::NotPersisted(source))),
    }
}

async fn attempt(
    options: &Options,
    request: Request,
    transport: &mut impl Transport,
) -> Result<Sent, SendError> {
    let url = request.url().clone();
    let rule =
        if options.any_redirect { RedirectRule::Any } else { RedirectRule::Same(request.method().clone()) };
    let mut answer = with_rule(rule.clone(), transport.send(request)).await?;
    if let Some(redirected) = came_from_elsewhere(&rule, &url, answer.url()) {
        return Err(SendError::Final(Failure::Redirected(redirected.into())));
    }
    if is_retryable(&answer, &options.replayed_header) {
        return Ok(Sent::Later(without_connection(answer).await));
    }
    let Some(limit) = options.body_limit() else { return Ok(Sent::Final(answer, None)) };
    match whole_body(&mut answer, limit).await {
        Ok(Some(body)) => Ok(Sent::Final(answer, Some(body))),
        Ok(None) => Err(SendError::Final(Failure::TooLarge { status: answer.status(), limit })),
        Err(source) => Err(SendError::Retryable(source.without_url().into())),
    }
}

/// Waits until the next attempt is due, and returns how long the attempt may take. `None` when there is no time left for it.
async fn wait(
    options: &Options,
    pauses: &mut Pauses,
    mut asked: Option<Duration>,
    left: impl Fn() -> Duration,
) -> Option<Duration> {
    while let Some(pause) = pauses.next(asked, left()) {
        sleep(pause).await;
        let left = left();
        if left.is_zero() {
            return None;
        }
        if options.budget.withdraw() {
            return Some(left);
        }
        asked = Some(BUDGET_PAUSE);
    }
    None
}

/// Attaches the key to the answer, and calls the hook that forgets the request.
async fn answered(
    options: &Options,
    operation: Operation,
    mut answer: Response,
    body: Option<Bytes>,
) -> Result<Response, Error> {
    if let Some(key) = &operation.key {
        answer.extensions_mut().insert(key.clone());
    }
    let Some(body) = body else { return Ok(answer) };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let answer = with_body(answer, body.clone());
    let (Some(forget), Some(key)) = (&options.forget, operation.key.clone()) else { return Ok(answer) };
    let is_unsure = operation.is_resumed || operation.attempts > 1;
    if is_unsure && may_concern_one_attempt(status, &headers, &options.replayed_header) {
        return Ok(answer);
    }
    let over = forget.call(Answered { key, status, headers, body });
    let forgotten = timeout(options.policy.window, over).await;
    match forgotten.unwrap_or_else(|_| Err("the hook did not end within the window".into())) {
        Ok(()) => Ok(answer),
        Err(source) => Err(operation.failed(Failure::NotForgotten { source, answer: Box::new(answer) })),
    }
}

/// Whether another attempt may succeed. With its key, it can do no harm.
pub(crate) fn send_error(error: reqwest::Error) -> SendError {
    // A URL may hold secrets, and errors end up in logs.
    let error = error.without_url();
    if error.is_redirect() {
        SendError::Final(Failure::Redirected(error.into()))
    } else if error.is_builder() {
        SendError::Final(Failure::NotAnswered(error.into()))
    } else {
        SendError::Retryable(error.into())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::SystemTime;

    use super::*;
    use crate::clock;

    /// How often the clock was read.
    static READ: AtomicUsize = AtomicUsize::new(0);
    /// The reading from which on the clock is two days ahead.
    static SLEPT: AtomicUsize = AtomicUsize::new(0);
    /// How often a request was sent.
    static SENT: AtomicUsize = AtomicUsize::new(0);

    /// A transport that never gets an answer.
    struct Silent;

    impl Transport for Silent {
        async fn send(&mut self, _: Request) -> Result<Response, SendError> {
            assert!(READ.load(Ordering::SeqCst) < SLEPT.load(Ordering::SeqCst), "sent after the retention");
            SENT.fetch_add(1, Ordering::SeqCst);
            Err(SendError::Retryable("no answer".into()))
        }
    }

    fn slept() -> SystemTime {
        let is_later = READ.fetch_add(1, Ordering::SeqCst) + 1 >= SLEPT.load(Ordering::SeqCst);
        clock::now() + Duration::from_hours(if is_later { 48 } else { 0 })
    }

    #[tokio::test]
    async fn a_machine_that_slept_past_the_retention_does_not_send_the_key_again() {
        let mut options = Options { now: slept, ..Options::default() };
        options.policy.first_pause = Duration::from_millis(1);
        // The first reading is at the beginning of the operation; the first attempt is always made.
        for reading in 2..9 {
            READ.store(0, Ordering::SeqCst);
            SENT.store(0, Ordering::SeqCst);
            SLEPT.store(reading, Ordering::SeqCst);
            let request = reqwest::Client::new().post("http://localhost/").build().unwrap();
            let error = run(&options, request, None, Silent).await.unwrap_err();
            assert!(matches!(error.failure(), Failure::NotAnswered(_)) && error.key().is_some(), "{error:?}");
            // Two readings for each pause.
            assert_eq!(SENT.load(Ordering::SeqCst), reading / 2, "{reading}");
        }
    }
}
