//! Things: each call makes a new one, each retry gets the old one.

use axum::http::StatusCode;

use crate::answer::{Answer, answer};
use crate::numbers;

pub(crate) async fn make() -> Answer {
    match numbers::random() {
        Ok(number) => answer(StatusCode::CREATED, &serde_json::json!({ "thing": number })),
        Err(error) => {
            eprintln!("payments: {error}");
            answer(StatusCode::INTERNAL_SERVER_ERROR, &serde_json::json!({ "error": "no random number" }))
        }
    }
}
