//! Payments.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Extension, Json, Query, State};
use axum::http::StatusCode;
use idem_http::Attempt;
use serde::Deserialize;

use crate::Service;
use crate::accounts::Account;
use crate::answer::{Answer, answer, read};
use crate::books::Change;
use crate::numbers::EXACT;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Payment {
    cents: u64,
    #[serde(default)]
    reference: String,
}

/// Books a payment each time it is called. The layer keeps retries from calling it.
pub(crate) async fn pay(
    State(service): State<Arc<Service>>,
    Extension(account): Extension<Account>,
    attempt: Option<Attempt>,
    body: Result<Json<Payment>, JsonRejection>,
) -> Answer {
    let Json(payment) = match body {
        Ok(payment) => payment,
        Err(error) => return answer(error.status(), &serde_json::json!({ "error": error.body_text() })),
    };
    if payment.cents > EXACT {
        let body = serde_json::json!({ "error": format!("cents: {EXACT} at most") });
        return answer(StatusCode::UNPROCESSABLE_ENTITY, &body);
    }
    let change = Change::Payment { cents: payment.cents, reference: payment.reference };
    let booked = service.books.change(attempt.as_ref(), account.0, change).await;
    tokio::time::sleep(service.pause).await;
    booked
}

/// Where a list begins.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// The last id of the previous page.
    #[serde(default)]
    after: u64,
}

pub(crate) async fn list(
    State(service): State<Arc<Service>>,
    page: Result<Query<Page>, QueryRejection>,
    Extension(account): Extension<Account>,
) -> Answer {
    let Query(page) = match page {
        Ok(page) => page,
        Err(error) => return answer(error.status(), &serde_json::json!({ "error": error.body_text() })),
    };
    let listed = service.books.payments(account.0, page.after).await;
    read(listed.map(|payments| serde_json::json!(payments)))
}
