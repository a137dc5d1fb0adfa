//! Redirects of requests that carry a key.

use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Method, StatusCode, Url};

/// How many redirects are followed: as many as reqwest follows by default.
const MAX_REDIRECTS: usize = 10;

tokio::task_local! {
    static RULE: RedirectRule;
}

/// Which redirects the request that is being sent may follow.
#[derive(Debug, Clone)]
pub(crate) enum RedirectRule {
    /// For a request with a key: those that keep this method and the origin. Any other is an error.
    Same(Method),
    /// For a request without a key, or where the application allows it: those that reqwest follows by default.
    Any,
}

/// The redirect policy for a client whose requests carry keys: a redirect to another origin, or one that changes the method,
/// is an error. To another server the key means nothing, or something else. And where a POST becomes a GET, a 200 says that a
/// page was found, not that anything was paid. At most ten redirects are followed.
///
/// [`IdempotentClient::new`](crate::IdempotentClient::new) builds its client with this policy. Build a client for
/// [`IdempotentClient::with_client`](crate::IdempotentClient::with_client) or for the middleware with it as well, since the
/// policy of a client cannot be changed afterwards. For requests that go through this crate without a key, and those of a
/// client with [`any_redirect`](crate::IdempotentClient::any_redirect), at most ten redirects are followed, wherever they
/// lead.
///
/// ```
/// let client = reqwest::Client::builder().redirect(idem_client::redirect_policy()).build()?;
/// # Ok::<(), reqwest::Error>(())
/// ```
#[must_use]
pub fn redirect_policy() -> Policy {
    Policy::custom(|attempt| match RULE.try_with(Clone::clone) {
        Ok(RedirectRule::Any) => Policy::limited(MAX_REDIRECTS).redirect(attempt),
        Ok(RedirectRule::Same(method)) => same(attempt, Some(&method)),
        Err(_) => same(attempt, None),
    })
}

/// Runs `attempt` with `rule` in effect. A task-local reaches the policy, since reqwest calls it while the future of the
/// attempt is polled.
pub(crate) async fn with_rule<F: Future>(rule: RedirectRule, attempt: F) -> F::Output {
    RULE.scope(rule, attempt).await
}

/// The redirect by which an answer came from another origin, as it can with a client that has a policy of its own.
pub(crate) fn came_from_elsewhere(rule: &RedirectRule, asked: &Url, answered: &Url) -> Option<Redirected> {
    let elsewhere = matches!(rule, RedirectRule::Same(_)) && asked.origin() != answered.origin();
    elsewhere
        .then(|| Redirected { why: "to another origin, and the client followed it", to: place(answered) })
}

fn same(attempt: Attempt<'_>, method: Option<&Method>) -> Action {
    let why = if attempt.previous().len() > MAX_REDIRECTS {
        "too often"
    } else if attempt.previous().iter().any(|previous| previous.origin() != attempt.url().origin()) {
        "to another origin"
    } else if changes(attempt.status(), method) {
        "to where the method would change"
    } else {
        return attempt.follow();
    };
    let to = place(attempt.url());
    attempt.error(Redirected { why, to })
}

/// Whether reqwest would send the next request with another method. An unknown method counts as POST.
fn changes(status: StatusCode, method: Option<&Method>) -> bool {
    match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => {
            method.is_none_or(|method| *method == Method::POST)
        }
        StatusCode::SEE_OTHER => {
            method.is_none_or(|method| *method != Method::GET && *method != Method::HEAD)
        }
        _ => false,
    }
}

/// The origin of `url`; the rest may hold secrets.
fn place(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// A redirect that was not followed, or should not have been.
#[derive(Debug, thiserror::Error)]
#[error("redirected {why}: {to}")]
pub(crate) struct Redirected {
    why: &'static str,
    to: String,
}
