//! A payments API whose clients may retry: axum, with the idempotency layer inside authentication.
//!
//! ```text
//! cargo run --example payments -- [--store URI] [--listen ADDR] [--effects FILE] [--lease TIME] [--pause TIME]
//! ```
//!
//! By default it keeps everything in the redb file `payments.idem` and listens at 127.0.0.1:3000. The demo's tokens
//! are `demo` and `demo2`, for two accounts. docs/guide/try-it.md shows it with curl.
//!
//! - `POST /payments`: books a payment; on redb and PostgreSQL the booking and the key's completion are one
//!   transaction.
//! - `GET /payments`: what was booked, 100 at a time; `?after=ID` has the next ones.
//! - `PATCH /accounts/{id}`: JSON Patch within bounds, also in one transaction. Only for the caller's own account, which is
//!   checked outside the layer.
//! - `POST /things`: a random number that JavaScript reads exactly.
//! - `POST /orders`: three steps with effects on other systems, and a checkpoint after each.

mod accounts;
mod answer;
mod arguments;
mod books;
mod bounded_patch;
mod effects;
mod numbers;
mod orders;
mod payments;
mod store;
mod things;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{get, patch, post};
use idem_core::Scope;
use idem_http::{IdempotencyLayer, scope_from};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;

use accounts::Account;
use arguments::Arguments;
use books::Books;
use bounded_patch::MOST_REQUEST_BYTES;
use effects::Effects;

/// Any error: it is printed, and the program ends.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How long a shutdown waits. Handlers that are cut off then keep their keys until their leases end.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(30);

/// What the handlers share.
struct Service {
    books: Box<dyn Books>,
    effects: Effects,
    /// A pause between the effect of a handler and its answer, to try out a crash there.
    pause: Duration,
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("payments: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<()> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    let (store, books) = store::open(&arguments.store).await?;
    let effects = Effects::open(&arguments.effects)?;
    let scope = scope_from(|account: &Account| Scope::new(format!("account:{}", account.0)));
    let idempotency = IdempotencyLayer::builder(store, scope)
        .lease(arguments.lease)
        // The same limit that the handlers have without a key, below.
        .max_body(MOST_REQUEST_BYTES)
        .build()?;
    let running = idempotency.running().clone();
    // The layer that is added last stands outermost: a replay passes the same checks as its first request.
    let accounts = Router::new()
        .route("/accounts/{id}", patch(accounts::change).get(accounts::show))
        .route_layer(idempotency.clone())
        .route_layer(from_fn(accounts::own_account_only));
    let app = Router::new()
        .route("/payments", post(payments::pay).get(payments::list))
        .route("/things", post(things::make))
        .route("/orders", post(orders::order))
        .route_layer(idempotency)
        .merge(accounts)
        .with_state(Arc::new(Service { books, effects, pause: arguments.pause }))
        .layer(DefaultBodyLimit::max(MOST_REQUEST_BYTES))
        .layer(from_fn(accounts::authenticate))
        .route("/health", get(|| async { "well" }));

    let listener = TcpListener::bind(&arguments.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async move { stopped.await.unwrap_or_default() };
    let mut serving = tokio::spawn(axum::serve(listener, app).with_graceful_shutdown(stopped).into_future());
    tokio::select! {
        ended = &mut serving => return Ok(ended??),
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    println!("shutting down");
    drop(stop);
    let ended = async {
        serving.await??;
        // Handlers whose clients are gone still run.
        running.ended().await;
        Result::Ok(())
    };
    let Ok(ended) = timeout(SHUTDOWN_LIMIT, ended).await else {
        return Err(format!("gave up waiting: {} handlers were cut off", running.count()).into());
    };
    ended?;
    println!("done");
    Ok(())
}
