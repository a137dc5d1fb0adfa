//! One operation: the same request with the same key, until there is a final answer.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Request, Response};
use tokio::time::{Instant, sleep, timeout};

use crate::answer::{is_worth_repeating, settles_the_operation, whole_body, with_body, without_connection};
use crate::clock;
use crate::error::{Error, Failure};
use crate::jitter::Pauses;
use crate::options::Options;
use crate::redirect::{Rule, came_from_elsewhere, under};
use crate::retry_after::retry_after;
use crate::sending::Resumed;
use crate::{Answered, BoxError, ClientKey};

/// The least pause of one that found the budget spent.
const BUDGET_PAUSE: Duration = Duration::from_millis(10);

/// What a sending that failed says.
pub(crate) enum NotSent {
    /// The next one may succeed.
    Perhaps(BoxError),
    /// None will.
    Never(Failure),
}

/// What sends a request once.
pub(crate) trait Transport: Send {
    fn send(&mut self, request: Request) -> impl Future<Output = Result<Response, NotSent>> + Send;
}

/// What one sending came to.
enum Sent {
    /// With the body where it is to be read.
    Final(Response, Option<Bytes>),
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
    let (key, window) = prepare(options, &mut request, resumed).await?;
    let left = || window.saturating_sub(begun.elapsed());
    let mut pauses = Pauses::of(&options.policy);
    options.budget.deposit();
    let mut attempts = 0;
    loop {
        attempts += 1;
        let again = request.try_clone();
        let one = once(options, request, &mut transport);
        let (failure, asked) = match timeout(options.policy.attempt_timeout.min(left()), one).await {
            Ok(Ok(Sent::Final(answer, body))) => {
                return answered(options, key, attempts, answer, body).await;
            }
            Ok(Ok(Sent::Later(answer))) => {
                let asked = retry_after(answer.headers(), clock::now(), options.policy.longest_pause);
                (Failure::Later(Box::new(answer)), asked)
            }
            Ok(Err(NotSent::Perhaps(source))) => (Failure::NotAnswered(source), None),
            Ok(Err(NotSent::Never(failure))) => return Err(Error::new(key, attempts, failure)),
            Err(_) => (Failure::NotAnswered("no answer within the time for one sending".into()), None),
        };
        // A stream is gone with its first sending.
        let Some(next) = again.filter(|_| attempts < options.policy.attempts) else {
            return Err(Error::new(key, attempts, failure));
        };
        if !wait(options, &mut pauses, asked, left).await {
            return Err(Error::new(key, attempts, failure));
        }
        request = next;
    }
}

/// The key, kept if it is a new one, and how long everything may take.
async fn prepare(
    options: &Options,
    request: &mut Request,
    resumed: Option<Resumed>,
) -> Result<(Option<ClientKey>, Duration), Error> {
    let policy = &options.policy;
    if let Some(resumed) = resumed {
        return match resumed.left(clock::now()) {
            Ok(left) => Ok((Some(resumed.key), left.min(policy.window))),
            Err(source) => Err(Error::new(Some(resumed.key), 0, Failure::NotResumed(source))),
        };
    }
    let key = options.key(request).map_err(|refused| Error::new(None, 0, Failure::KeyRefused(refused)))?;
    let window = policy.window.min(policy.retention);
    let kept = timeout(window, options.keep(key.as_ref(), request)).await;
    match kept.unwrap_or_else(|_| Err("the hook did not end within the window".into())) {
        Ok(()) => Ok((key, window)),
        Err(source) => Err(Error::new(key, 0, Failure::NotPersisted(source))),
    }
}

async fn once(options: &Options, request: Request, transport: &mut impl Transport) -> Result<Sent, NotSent> {
    let url = request.url().clone();
    let rule = if options.any_redirect { Rule::Any } else { Rule::Same(request.method().clone()) };
    let mut answer = under(rule.clone(), transport.send(request)).await?;
    if let Some(redirected) = came_from_elsewhere(&rule, &url, answer.url()) {
        return Err(NotSent::Never(Failure::Redirected(redirected.into())));
    }
    if is_worth_repeating(&answer) {
        return Ok(Sent::Later(without_connection(answer).await));
    }
    let Some(limit) = options.body_limit() else { return Ok(Sent::Final(answer, None)) };
    match whole_body(&mut answer, limit).await {
        Ok(Some(body)) => Ok(Sent::Final(answer, Some(body))),
        Ok(None) => Err(NotSent::Never(Failure::TooLarge { status: answer.status(), limit })),
        Err(source) => Err(NotSent::Perhaps(source.into())),
    }
}

/// Waits for the next sending. False when there is no time left for it.
async fn wait(
    options: &Options,
    pauses: &mut Pauses,
    mut asked: Option<Duration>,
    left: impl Fn() -> Duration,
) -> bool {
    while let Some(pause) = pauses.next(asked, left()) {
        sleep(pause).await;
        if options.budget.withdraw() {
            return true;
        }
        asked = Some(BUDGET_PAUSE);
    }
    false
}

/// Gives the answer its key, and tells the application that the operation is over.
async fn answered(
    options: &Options,
    key: Option<ClientKey>,
    attempts: usize,
    mut answer: Response,
    body: Option<Bytes>,
) -> Result<Response, Error> {
    if let Some(key) = &key {
        answer.extensions_mut().insert(key.clone());
    }
    let Some(body) = body else { return Ok(answer) };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let answer = with_body(answer, body.clone());
    let (Some(forget), Some(key)) = (&options.forget, key) else { return Ok(answer) };
    if !settles_the_operation(status, &headers) {
        return Ok(answer);
    }
    let over = Answered { key: key.clone(), status, headers, body };
    match timeout(options.policy.window, forget.call(over)).await {
        Ok(Ok(())) => Ok(answer),
        Ok(Err(source)) => Err(not_forgotten(key, attempts, source, answer)),
        Err(_) => Err(not_forgotten(key, attempts, "the hook did not end within the window".into(), answer)),
    }
}

fn not_forgotten(key: ClientKey, attempts: usize, source: BoxError, answer: Response) -> Error {
    Error::new(Some(key), attempts, Failure::NotForgotten { source, answer: Box::new(answer) })
}

/// Whether another sending may do better. With a key none can do harm.
pub(crate) fn not_sent(error: reqwest::Error) -> NotSent {
    if error.is_redirect() {
        NotSent::Never(Failure::Redirected(error.into()))
    } else if error.is_builder() {
        NotSent::Never(Failure::NotAnswered(error.into()))
    } else {
        NotSent::Perhaps(error.into())
    }
}
