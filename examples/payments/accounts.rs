//! Authentication, and the document of an account.

use std::sync::Arc;

use axum::extract::{Extension, Json, Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use idem_http::Attempt;
use json_patch::Patch;

use crate::Service;
use crate::answer::{Answer, answer, read};
use crate::books::Change;

/// An authenticated account: the scope of its keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account(pub(crate) u64);

/// Stands outside the idempotency layer.
pub(crate) async fn authenticate(mut request: Request, next: Next) -> Result<Response, Answer> {
    let token = request.headers().get("authorization").map(|value| value.as_bytes().to_vec());
    let account = match token.as_deref() {
        Some(b"Bearer demo") => Account(1),
        Some(b"Bearer demo2") => Account(2),
        _ => {
            let body = serde_json::json!({ "error": "Authorization: Bearer demo, or demo2" });
            return Err(answer(StatusCode::UNAUTHORIZED, &body));
        }
    };
    request.extensions_mut().insert(account);
    Ok(next.run(request).await)
}

/// Stands outside the idempotency layer, too: a replay never reaches the handler, and a refusal must not use up the key.
pub(crate) async fn own_account_only(
    Extension(account): Extension<Account>,
    Path(id): Path<u64>,
    request: Request,
    next: Next,
) -> Result<Response, Answer> {
    if id != account.0 {
        return Err(answer(StatusCode::FORBIDDEN, &serde_json::json!({ "error": "another account's" })));
    }
    Ok(next.run(request).await)
}

pub(crate) async fn show(
    State(service): State<Arc<Service>>,
    Extension(account): Extension<Account>,
) -> Answer {
    read(service.books.document(account.0).await)
}

pub(crate) async fn change(
    State(service): State<Arc<Service>>,
    Extension(account): Extension<Account>,
    attempt: Option<Attempt>,
    body: Result<Json<Patch>, axum::extract::rejection::JsonRejection>,
) -> Answer {
    let Json(changes) = match body {
        Ok(changes) => changes,
        Err(error) => return answer(error.status(), &serde_json::json!({ "error": error.body_text() })),
    };
    service.books.change(attempt.as_ref(), account.0, Change::Document(changes)).await
}
