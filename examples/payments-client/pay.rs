//! Sending payments, many at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use idem_client::{IdempotentClient, RetryPolicy};
use indicatif::ProgressBar;
use reqwest::StatusCode;
use tokio::task::JoinSet;

use crate::Result;
use crate::arguments::Arguments;

const AT_ONCE: usize = 32;
/// The largest answer, in bytes. When an answer breaks off, the request is sent again.
const LONGEST_ANSWER: usize = 65_536;

/// Pays each of `references` once, through `proxy`.
pub(crate) async fn all(
    arguments: &Arguments,
    proxy: SocketAddr,
    references: &[String],
    bar: &ProgressBar,
) -> Result<()> {
    let mut policy = RetryPolicy::default();
    policy.attempts = 60;
    policy.first_pause = Duration::from_millis(20);
    policy.longest_pause = Duration::from_millis(500);
    policy.attempt_timeout = Duration::from_secs(5);
    // About one request in three fails on this network, far more than the default retry budget allows.
    policy.retry_ratio = 10.0;
    // Each request has a connection of its own, so that a fault of the proxy affects one request only.
    let client = reqwest::Client::builder().pool_max_idle_per_host(0);
    let client = IdempotentClient::new(client)?.policy(policy).read_body(LONGEST_ANSWER);
    let (references, next) = (Arc::<[String]>::from(references), Arc::new(AtomicUsize::new(0)));
    let url: Arc<str> = format!("http://{proxy}/payments").into();
    let mut payers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (client, references, next) = (client.clone(), Arc::clone(&references), Arc::clone(&next));
        let (url, token, bar) = (Arc::clone(&url), arguments.token.clone(), bar.clone());
        payers.spawn(async move {
            while let Some(reference) = references.get(next.fetch_add(1, Ordering::Relaxed)) {
                pay(&client, &url, &token, reference).await?;
                bar.inc(1);
            }
            Result::Ok(())
        });
    }
    while let Some(ended) = payers.join_next().await {
        ended??;
    }
    Ok(())
}

async fn pay(client: &IdempotentClient, url: &str, token: &str, reference: &str) -> Result<()> {
    let body = serde_json::json!({ "cents": 250, "reference": reference }).to_string();
    let request = client
        .inner()
        .post(url)
        .bearer_auth(token)
        .header("content-type", "application/json")
        .header("connection", "close")
        .body(body)
        .build()?;
    let answer = client.execute(request).await?;
    if answer.status() == StatusCode::CREATED {
        return Ok(());
    }
    Err(format!("{reference}: {} {}", answer.status(), answer.text().await?).into())
}
