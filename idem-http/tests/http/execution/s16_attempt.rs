//! A handler's own attempt: its lease, its checkpoints, and completing by itself.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use idem_core::clock::{ManualClock, Timestamp};
use idem_core::error::Operation;
use idem_core::{Effect, ErrorKind};
use idem_http::{Attempt, IdempotencyKey, InDoubt, NotExecuted, NotKept};
use idem_moka::{MokaConfig, MokaStore};
use idem_redb::{RedbStore, RedbStoreExt, Transacted};
use redb::{ReadableDatabase, ReadableTable, TableDefinition};

use crate::support::{App, Calls, Fault, FaultyStore, Gate, Reply, post, problem_code, repeated};

#[tokio::test]
async fn the_attempt_and_the_key_are_extractors() {
    let app = App::new(|attempt: Attempt, key: IdempotencyKey| async move {
        assert_eq!(attempt.key(), attempt.lease().key());
        format!("{} {} {}", key.as_str(), attempt.number(), attempt.checkpoint().is_none())
    });
    assert_eq!(app.ask(post("k", "")).await.text(), "k 1 true");
}

#[tokio::test]
async fn without_a_key_there_is_no_attempt() {
    let request = || Request::post("/").body(Body::empty()).unwrap();
    let optional = App::new(|attempt: Option<Attempt>, key: Option<IdempotencyKey>| async move {
        format!("{} {}", attempt.is_none(), key.is_none())
    });
    assert_eq!(optional.ask(request()).await.text(), "true true");
    let reply = App::new(|_: Attempt| async {}).ask(request()).await;
    assert_eq!(
        (reply.status, problem_code(&reply).as_str()),
        (StatusCode::BAD_REQUEST, "key_missing"),
        "the client can mend it"
    );
}

/// A mistake in the server, which the client cannot mend.
#[tokio::test]
async fn on_a_route_that_no_layer_acts_on_there_is_no_attempt() {
    let app = App::new(|_: Attempt| async {});
    let get = Request::get("/").header("idempotency-key", "k").body(Body::empty()).unwrap();
    let outside = axum::Router::new().route("/", axum::routing::post(|_: Attempt| async {}));
    for reply in [app.ask(get).await, crate::support::ask(&outside, post("k", "")).await] {
        assert_eq!(
            (reply.status, problem_code(&reply).as_str()),
            (StatusCode::INTERNAL_SERVER_ERROR, "attempt_missing")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_let_through_has_no_attempt_and_may_be_sent_again() {
    let store = FaultyStore::new();
    let app = App::over(
        Arc::new(store.clone()),
        |_: Attempt| async {},
        |builder| builder.when_store_fails(idem_http::WhenStoreFails::PassThrough),
    );
    store.fail_all(&Fault::Refused(ErrorKind::Unavailable));
    let reply = app.ask(post("k", "")).await;
    assert_eq!(
        (reply.status, problem_code(&reply).as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
    );
}

#[tokio::test]
async fn the_next_attempt_goes_on_from_the_last_checkpoint() {
    let clock = ManualClock::new(Timestamp::from_micros(1_000_000_000));
    let store = MokaStore::with_clock(MokaConfig::default(), Arc::new(clock.clone())).unwrap();
    let gate = Gate::new();
    let held = gate.clone();
    let handler = move |attempt: Attempt| async move {
        if let Some(checkpoint) = attempt.checkpoint() {
            return format!("attempt {} from {checkpoint:?}", attempt.number());
        }
        assert_eq!(attempt.save(3, "reserved").await.unwrap(), Effect::Applied);
        held.pass().await;
        // The attempt has lost its key meanwhile, and is told so.
        assert!(matches!(attempt.save(4, "charged").await.unwrap(), Effect::Lost(_)));
        "too late".to_owned()
    };
    let app = App::over(Arc::new(store), handler, |builder| builder);
    let (first, second) = overtaken(&app, &gate, &clock).await;
    assert_eq!(second.text(), "attempt 2 from Checkpoint(step 3, 8 bytes)");
    assert_eq!(first.text(), second.text());
}

/// The answers of a first attempt that stays at the gate past its lease, and of the one that takes over.
async fn overtaken(app: &App, gate: &Gate, clock: &ManualClock) -> (Reply, Reply) {
    tokio::join!(app.ask(post("k", "")), async {
        gate.entered().await;
        clock.advance(Duration::from_secs(31));
        let second = app.ask(post("k", "")).await;
        gate.open();
        second
    })
}

const BOOKED: TableDefinition<'_, &str, u64> = TableDefinition::new("booked");

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Books once per key, in the transaction that completes the key, and answers with a body of at least `size` bytes.
async fn book(attempt: Attempt, fails: bool, size: usize) -> Response {
    let store = Arc::clone(attempt.store());
    let booking = attempt.clone();
    let transacted = store.as_redb().unwrap().complete_with(attempt.lease(), move |txn| {
        let mut booked = txn.open_table(BOOKED)?;
        let sum = booked.get("alice")?.map_or(0, |sum| sum.value()) + 1;
        booked.insert("alice", sum)?;
        if fails {
            return Err(Failure::from("undone"));
        }
        let response = http::Response::builder().status(201).header("x-sum", sum);
        Ok(booking.outcome(&response.body(format!("{:size$}", format!("booked {sum}"))).unwrap())?)
    });
    let concluded: Result<Response, Failure> = attempt.conclude(transacted.await);
    concluded.unwrap_or_else(|error| (StatusCode::CONFLICT, error.to_string()).into_response())
}

#[tokio::test]
async fn a_handler_completes_its_key_with_its_own_data_and_the_layer_answers_from_the_record() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.idem");
    let store = RedbStore::open(&*path).await.unwrap();
    let handler = |attempt: Attempt, body: String| book(attempt, body == "fail", 0);
    let app = App::over(Arc::new(store.clone()), handler, |builder| builder);
    let first = app.ask(post("k", "")).await;
    assert_eq!((first.status, first.text()), (StatusCode::CREATED, "booked 1"));
    assert_eq!((&first.headers["x-sum"], first.is_replayed()), (&"1".parse().unwrap(), false));
    let retry = app.ask(post("k", "")).await;
    assert_eq!(retry.content(), first.content());
    assert!(retry.is_replayed());

    let undone = app.ask(post("other", "fail")).await;
    assert_eq!((undone.status, undone.text()), (StatusCode::CONFLICT, "undone"));
    assert!(app.ask(post("other", "fail")).await.is_replayed());

    store.close().await.unwrap();
    drop((app, store));
    let file = redb::Database::open(&path).unwrap();
    let table = file.begin_read().unwrap().open_table(BOOKED).unwrap();
    assert_eq!(table.get("alice").unwrap().unwrap().value(), 1, "booked once, and the failed one undone");
}

/// The answer is refused before anything is committed, and the client is told why.
#[tokio::test]
async fn an_answer_that_cannot_be_kept_commits_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = RedbStore::open(directory.path().join("keys.idem")).await.unwrap();
    let handler = |attempt: Attempt, body: String| book(attempt, false, body.parse().unwrap());
    let app = App::over(Arc::new(store), handler, |builder| builder.max_response(1_000));
    let reply = app.ask(post("k", "1001")).await;
    assert_eq!(reply.status, StatusCode::CONFLICT);
    assert_eq!(reply.text(), "the answer is longer than the 1000 bytes that are kept");
    assert_eq!(app.ask(post("k", "1001")).await.content(), reply.content(), "that is the key's answer");
    let other = app.ask(post("other", "1000")).await;
    assert!(other.text().starts_with("booked 1 "), "the first one booked nothing");
}

/// However a transaction ends, no client sees the placeholder for its answer.
#[tokio::test]
async fn no_client_sees_what_stands_in_for_an_answer() {
    let store = FaultyStore::new();
    let handler = |attempt: Attempt, body: String| async move {
        let outcome = match body.as_str() {
            "unavailable" => idem_core::Outcome::Unavailable(idem_core::UnavailableReason::Streamed),
            _ => attempt.outcome(&http::Response::new("recorded")).unwrap(),
        };
        let lease = attempt.lease();
        let completed = attempt.store().complete(lease, outcome, lease.retention()).await;
        let concluded: Result<Response, ()> = attempt.conclude(completed.map(|_| Transacted::Applied));
        concluded.unwrap()
    };
    let app = App::over(Arc::new(store.clone()), handler, |builder| builder);
    assert_eq!(app.ask(post("a", "")).await.text(), "recorded");
    assert_eq!(problem_code(&app.ask(post("b", "unavailable")).await), "not_kept");
    store.fail(Operation::Complete, Fault::Answered(ErrorKind::Timeout));
    assert_eq!(app.ask(post("c", "")).await.text(), "recorded");
    store.fail(Operation::Complete, Fault::Refused(ErrorKind::Timeout));
    assert_eq!(problem_code(&app.ask(post("d", "")).await), "not_recorded");
}

#[tokio::test]
async fn an_answer_in_doubt_is_taken_from_the_record() {
    let store = FaultyStore::new();
    let handler = |attempt: Attempt| async move {
        let outcome = attempt.outcome(&http::Response::new("recorded")).unwrap();
        let lease = attempt.lease();
        let _unknown = attempt.store().complete(lease, outcome, lease.retention()).await.unwrap_err();
        (InDoubt, "not what the client gets")
    };
    let app = App::over(Arc::new(store.clone()), handler, |builder| builder);
    store.fail(Operation::Complete, Fault::Answered(ErrorKind::Timeout));
    let written = app.ask(post("written", "")).await;
    assert_eq!((written.text(), written.is_replayed()), ("recorded", false));
    assert!(app.ask(post("written", "")).await.is_replayed());

    store.fail(Operation::Complete, Fault::Refused(ErrorKind::Timeout));
    let unknown = app.ask(post("lost", "")).await;
    assert_eq!(
        (unknown.status, problem_code(&unknown).as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "not_recorded")
    );
    store.mend();
    assert_eq!(problem_code(&app.ask(post("lost", "")).await), "in_flight", "never released");
}

#[tokio::test]
async fn a_handler_that_completes_its_key_as_unavailable_still_answers_its_own_client() {
    let handler = |attempt: Attempt| async move {
        let answer = http::Response::new(vec![b'x'; 2000]);
        let lease = attempt.lease();
        let outcome = idem_core::Outcome::Unavailable(
            attempt
                .outcome(&answer)
                .map_or_else(|_| idem_core::UnavailableReason::TooLarge, |outcome| panic!("{outcome:?}")),
        );
        assert_eq!(
            attempt.store().complete(lease, outcome, lease.retention()).await.unwrap(),
            Effect::Applied
        );
        answer.map(Body::from)
    };
    let app = App::with(handler, |builder| builder.max_response(1000));
    assert_eq!(app.ask(post("k", "")).await.body.len(), 2000);
    assert_eq!(problem_code(&app.ask(post("k", "")).await), "not_kept");
}

#[tokio::test]
async fn the_helper_makes_the_outcome_that_the_layer_would_store() {
    let handler = |attempt: Attempt| async move {
        let answer = || (StatusCode::CREATED, [("x-a", "1"), ("set-cookie", "s")], "body").into_response();
        let collected = http::Response::builder().status(201).header("x-a", "1");
        let collected = collected.header("content-type", "text/plain; charset=utf-8").body("body").unwrap();
        let streamed = attempt.outcome_of(answer()).await.unwrap();
        let whole = attempt.outcome(&collected).unwrap();
        let too_large = attempt.outcome(&http::Response::new(vec![0; 2000]));
        let too_long = attempt.outcome_of(http::Response::new(repeated("0123456789", 200))).await;
        let refused = NotKept::TooLarge { most: 1_000 };
        assert_eq!((too_large.unwrap_err(), too_long.unwrap_err()), (refused, refused));
        let lease = attempt.lease();
        let _applied = attempt.store().complete(lease, whole.clone(), lease.retention()).await.unwrap();
        (StatusCode::OK, format!("{}", streamed.size() == whole.size()))
    };
    let app = App::with(handler, |builder| builder.max_response(1000));
    let reply = app.ask(post("k", "")).await;
    assert_eq!((reply.status, reply.text()), (StatusCode::CREATED, "body"));
}

/// The first attempt stalls past its lease; the next one takes over, and releases the key without booking.
#[tokio::test]
async fn an_attempt_that_lost_its_key_does_not_answer_as_if_it_had_booked() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(Timestamp::from_micros(1_000_000_000));
    let path = directory.path().join("keys.idem");
    let store = RedbStore::builder(&*path).clock(Arc::new(clock.clone())).open().await.unwrap();
    let (gate, calls) = (Gate::new(), Calls::default());
    let held = gate.clone();
    let handler = move |attempt: Attempt| async move {
        match calls.add() {
            1 => held.pass().await,
            2 => return (StatusCode::SERVICE_UNAVAILABLE, NotExecuted, ()).into_response(),
            _ => {}
        }
        book(attempt, false, 0).await
    };
    let app = App::over(Arc::new(store), handler, |builder| builder);
    let (first, second) = overtaken(&app, &gate, &clock).await;
    // Neither has booked, and both may ask again.
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (409, 503));
    assert_eq!(first.retry_after(), Some(1));
    let retry = app.ask(post("k", "")).await;
    assert_eq!((retry.text(), retry.is_replayed()), ("booked 1", false));
    assert_eq!(app.ask(post("k", "")).await.text(), "booked 1");
}
