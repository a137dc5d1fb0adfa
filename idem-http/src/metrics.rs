//! How each request with a key was answered, counted through the `metrics` facade with the feature of that name.
//!
//! | name | kind | labels | what |
//! |---|---|---|---|
//! | `idem_http_answers_total` | counter | `answer` | requests that the layer answered, or let through because the store failed |
//!
//! `answer` is `executed`, `replayed`, `in_flight`, `key_reused`, `not_kept`, `released`, `lost`, `not_recorded`,
//! `store_unavailable`, `passed_through`, or the code of another [problem](crate::problem). The same word is the
//! field `answer` of the span `idem.http`.
//!
//! A request that is refused by its headers or its route alone is neither counted nor has a span: one whose required
//! key is missing, whose header holds no key, or whose route the layer cannot see.

use tracing::Span;

/// Requests that the layer answered.
pub const ANSWERS: &str = "idem_http_answers_total";

/// Describes the counter to the installed recorder. Call it once, after the recorder is installed.
pub fn describe() {
    #[cfg(feature = "metrics")]
    ::metrics::describe_counter!(ANSWERS, "Requests with an idempotency key, by how they were answered");
}

/// Reports how a request was answered, to its span and to the counter.
pub(crate) fn record_answer(span: &Span, answer: &'static str) {
    span.record("answer", answer);
    #[cfg(feature = "metrics")]
    ::metrics::counter!(ANSWERS, "answer" => answer).increment(1);
}
