//! Orders: three steps with effects on other systems. After a crash the next attempt continues from the last checkpoint.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use idem_core::Effect;
use idem_http::Attempt;

use crate::answer::{Answer, answer, lost, try_again};
use crate::{Result, Service};

const STEPS: [(u64, &str); 3] = [(1, "reserve"), (2, "charge"), (3, "mail")];

pub(crate) async fn order(State(service): State<Arc<Service>>, attempt: Option<Attempt>) -> Answer {
    let Some(attempt) = attempt else {
        let body = serde_json::json!({ "error": "an order needs an Idempotency-Key" });
        return answer(StatusCode::BAD_REQUEST, &body);
    };
    match steps(&service, &attempt).await {
        Ok(true) => {
            let body =
                serde_json::json!({ "order": attempt.client_key().as_str(), "attempt": attempt.number() });
            answer(StatusCode::CREATED, &body)
        }
        Ok(false) => lost(),
        Err(error) => {
            eprintln!("payments: {error}");
            // The next attempt continues from the last checkpoint.
            try_again("try again")
        }
    }
}

/// False when another attempt has taken over.
async fn steps(service: &Service, attempt: &Attempt) -> Result<bool> {
    let saved = attempt.checkpoint().map_or(0, |checkpoint| checkpoint.step);
    let key = attempt.client_key().as_str().to_owned();
    for (step, name) in STEPS.into_iter().filter(|(step, _)| *step > saved) {
        // A real handler passes on a key of its own, made from `attempt.key()` and the step. Then the effect happens
        // once, even after a crash between the effect and the checkpoint.
        service.effects.happen(format!("{key} {name} happened")).await?;
        tokio::time::sleep(service.pause).await;
        if let Effect::Lost(_) = attempt.save(step, Bytes::from_static(name.as_bytes())).await? {
            return Ok(false);
        }
        service.effects.happen(format!("{key} {name} saved")).await?;
    }
    Ok(true)
}
