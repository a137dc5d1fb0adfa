//! Redirects of requests that carry a key.

use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Method, StatusCode, Url};

/// Most redirects: as many as reqwest follows by default.
const MOST: usize = 10;

tokio::task_local! {
    static RULE: RedirectRule;
}

/// Which redirects the request that is being sent may follow.
#[derive(Debug, Clone)]
pub(crate) enum RedirectRule {
    /// It has a key: the same method, at the same origin, or an error.
    Same(Method),
    /// It has none, or the application said so: as reqwest does by default.
    Any,
}

/// Redirects for a client whose requests carry keys: one to another origin, or one that changes the method, is an
/// error. The key of one server means nothing to another one, or something else; and where a POST becomes a GET, a
/// 200 says that a page was found, not that anything was paid.
///
/// [`IdempotentClient::new`](crate::IdempotentClient::new) builds its client with it. A client for
/// [`IdempotentClient::with_client`](crate::IdempotentClient::with_client) or the middleware is to be built with it, since nobody
/// can change the policy of a client that is built. Requests that go through this crate without a key, and those of
/// a client that was told [`any_redirect`](crate::IdempotentClient::any_redirect), are followed ten times, wherever to.
///
/// ```
/// let client = reqwest::Client::builder().redirect(idem_client::redirect_policy()).build()?;
/// # Ok::<(), reqwest::Error>(())
/// ```
#[must_use]
pub fn redirect_policy() -> Policy {
    Policy::custom(|attempt| match RULE.try_with(Clone::clone) {
        Ok(RedirectRule::Any) => Policy::limited(MOST).redirect(attempt),
        Ok(RedirectRule::Same(method)) => same(attempt, Some(&method)),
        Err(_) => same(attempt, None),
    })
}

/// Runs `attempt` with `rule` in effect: reqwest asks the policy while the client's future is polled.
pub(crate) async fn with_rule<F: Future>(rule: RedirectRule, attempt: F) -> F::Output {
    RULE.scope(rule, attempt).await
}

/// Whether the answer came from another origin, as it can with a client that has a policy of its own.
pub(crate) fn came_from_elsewhere(rule: &RedirectRule, asked: &Url, answered: &Url) -> Option<Redirected> {
    let elsewhere = matches!(rule, RedirectRule::Same(_)) && asked.origin() != answered.origin();
    elsewhere
        .then(|| Redirected { why: "to another origin, and the client followed it", to: place(answered) })
}

fn same(attempt: Attempt<'_>, method: Option<&Method>) -> Action {
    let why = if attempt.previous().len() > MOST {
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

/// Whether reqwest would send the next request by another method. An unknown method counts as POST.
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

/// The origin alone: the rest may hold secrets.
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
