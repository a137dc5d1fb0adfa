//! Answers of the API.

use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use idem_http::NotExecuted;
use serde_json::{Value, json};

/// An answer with its whole body, as a transaction makes it.
pub(crate) type Answer = Response<String>;

pub(crate) fn answer(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(format!("{body}\n"));
    *answer.status_mut() = status;
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    answer
}

/// What was read, or that it could not be.
pub(crate) fn read(found: crate::Result<Value>) -> Answer {
    match found {
        Ok(body) => answer(StatusCode::OK, &body),
        Err(error) => {
            eprintln!("payments: {error}");
            answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "error": "not read" }))
        }
    }
}

/// Another attempt took over. This one must not answer as if the work were done by it, so its client is told to retry:
/// the retry gets the answer of the other attempt, or runs the work if that attempt released the key.
pub(crate) fn lost() -> Answer {
    try_again("another attempt took over")
}

/// Releases the key, so that a retry may continue.
pub(crate) fn try_again(why: &str) -> Answer {
    let mut answer = answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": why }));
    answer.extensions_mut().insert(NotExecuted);
    answer
}
