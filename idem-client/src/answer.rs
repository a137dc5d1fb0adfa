//! What an answer means for the next sending.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};

const REPLAYED: &str = "idempotency-replayed";

/// Whether the same request may get another answer later.
pub(crate) fn is_worth_repeating(answer: &Response) -> bool {
    let headers = answer.headers();
    if headers.get(REPLAYED).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true")) {
        return false;
    }
    match answer.status() {
        StatusCode::CONFLICT => headers.contains_key(RETRY_AFTER),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => true,
        _ => false,
    }
}

/// How long the server asks to stay away: in seconds, or until a date, which counts from the answer's own.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let now = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    until.duration_since(now).ok()
}
