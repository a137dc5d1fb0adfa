//! A store that fails: nothing runs without a lock, and the key of a handler that ran is never released.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use idem_core::ErrorKind;
use idem_core::error::Operation;
use idem_http::{IdempotencyLayerBuilder, WhenInFlight, WhenNotRecorded, WhenStoreFails};
use idem_redb::RedbStore;
use tokio::time::Instant;

use crate::support::{App, Calls, Fault, FaultyStore, Reply, ask, post, problem_code};

const LIMIT: Duration = Duration::from_secs(5);

fn app(
    options: impl FnOnce(IdempotencyLayerBuilder) -> IdempotencyLayerBuilder,
) -> (FaultyStore, Calls, App) {
    let (store, calls) = (FaultyStore::new(), Calls::default());
    let counted = calls.clone();
    let handler = move || async move { format!("answer {}", counted.add()) };
    let app = App::over(Arc::new(store.clone()), handler, |builder| options(builder.store_timeout(LIMIT)));
    (store, calls, app)
}

fn is_refused(reply: &Reply) {
    assert_eq!(
        (reply.status, problem_code(reply).as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
    );
    assert_eq!(reply.retry_after(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_is_503_in_bounded_time_and_nothing_runs() {
    let faults = [
        Fault::Refused(ErrorKind::Unavailable),
        Fault::Refused(ErrorKind::Timeout),
        Fault::Answered(ErrorKind::Timeout),
        Fault::Silent,
    ];
    for fault in faults {
        let (store, calls, app) = app(|builder| builder.when_in_flight(WhenInFlight::Wait(LIMIT)));
        store.fail_all(&fault);
        let asked = Instant::now();
        is_refused(&app.ask(post("k", "")).await);
        assert!(asked.elapsed() <= LIMIT + Duration::from_secs(2), "{fault:?}: {:?}", asked.elapsed());
        assert_eq!(calls.count(), 0, "{fault:?}");
    }
}

/// Whoever filled the store must not switch off everybody's protection.
#[tokio::test]
async fn a_full_store_has_a_code_of_its_own_and_lets_nothing_through() {
    for when in [WhenStoreFails::Refuse, WhenStoreFails::PassThrough] {
        let (store, calls, app) = app(|builder| builder.when_store_fails(when));
        store.fail(Operation::Lock, Fault::Refused(ErrorKind::Full));
        let reply = app.ask(post("k", "")).await;
        assert_eq!(
            (reply.status, problem_code(&reply).as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "store_full")
        );
        assert_eq!((reply.retry_after(), calls.count()), (Some(1), 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_back_needs_no_restart() {
    let (store, calls, app) = app(|builder| builder);
    store.fail_all(&Fault::Refused(ErrorKind::Unavailable));
    is_refused(&app.ask(post("k", "")).await);
    store.mend();
    assert_eq!(app.ask(post("k", "")).await.text(), "answer 1");
    store.fail_all(&Fault::Refused(ErrorKind::Unavailable));
    is_refused(&app.ask(post("k", "")).await);
    store.mend();
    assert!(app.ask(post("k", "")).await.is_replayed());
    assert_eq!(calls.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_a_moment_is_asked_again() {
    let (store, calls, app) = app(|builder| builder);
    store.fail(Operation::Lock, Fault::Answered(ErrorKind::Timeout));
    let (reply, ()) = tokio::join!(app.ask(post("k", "")), async {
        tokio::time::sleep(LIMIT / 2).await;
        store.mend();
    });
    assert_eq!(reply.text(), "answer 1");
    assert_eq!(calls.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn by_request_a_route_runs_without_the_store_and_says_so() {
    let (store, calls, app) = app(|builder| builder.when_store_fails(WhenStoreFails::PassThrough));
    store.fail_all(&Fault::Refused(ErrorKind::Unavailable));
    for answer in ["answer 1", "answer 2"] {
        let reply = app.ask(post("k", "")).await;
        assert_eq!(
            (reply.text(), &reply.headers["idempotency-not-kept"]),
            (answer, &"true".parse().unwrap())
        );
    }
    store.mend();
    let reply = app.ask(post("k", "")).await;
    assert_eq!((reply.text(), reply.headers.contains_key("idempotency-not-kept")), ("answer 3", false));
    assert_eq!(calls.count(), 3);
}

#[tokio::test]
async fn damage_is_not_passed_through() {
    let (store, calls, app) = app(|builder| builder.when_store_fails(WhenStoreFails::PassThrough));
    store.fail(Operation::Lock, Fault::Refused(ErrorKind::Corrupt));
    let reply = app.ask(post("k", "")).await;
    assert_eq!(
        (reply.status, problem_code(&reply).as_str()),
        (StatusCode::INTERNAL_SERVER_ERROR, "record_unreadable")
    );
    assert_eq!(calls.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_may_not_be_kept_is_marked_and_its_key_is_not_released() {
    let (store, calls, app) = app(|builder| builder);
    store.fail(Operation::Complete, Fault::Refused(ErrorKind::Unavailable));
    let first = app.ask(post("k", "")).await;
    assert_eq!(
        (first.text(), &first.headers["idempotency-not-kept"]),
        ("answer 1", &"true".parse().unwrap())
    );
    store.mend();
    assert_eq!(problem_code(&app.ask(post("k", "")).await), "in_flight", "the key is still held");
    assert_eq!(calls.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn by_policy_an_answer_that_may_not_be_kept_is_503_and_the_retry_learns_more() {
    let (store, calls, app) = app(|builder| builder.when_not_recorded(WhenNotRecorded::Refuse));
    store.fail(Operation::Complete, Fault::Answered(ErrorKind::Timeout));
    let first = app.ask(post("k", "")).await;
    assert_eq!(
        (first.status, problem_code(&first).as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "not_recorded")
    );
    assert_eq!(first.retry_after(), Some(1));
    store.mend();
    let retry = app.ask(post("k", "")).await;
    assert_eq!((retry.text(), retry.is_replayed()), ("answer 1", true));
    assert_eq!(calls.count(), 1);
}

/// Clients that retry until they have an answer, over a store that comes and goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_a_store_that_comes_and_goes_lets_every_request_run_once() {
    const CLIENTS: usize = 64;
    const REQUESTS: usize = 20;
    let short = Duration::from_millis(5);
    let (store, calls, app) = app(|builder| builder.store_timeout(short).lease(Duration::from_millis(200)));
    let flapping = tokio::spawn({
        let store = store.clone();
        async move {
            for fault in
                [Fault::Refused(ErrorKind::Unavailable), Fault::Answered(ErrorKind::Timeout), Fault::Silent]
                    .into_iter()
                    .cycle()
            {
                store.fail_all(&fault);
                tokio::time::sleep(short * 3).await;
                store.mend();
                tokio::time::sleep(short * 3).await;
            }
        }
    });
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let router = app.router.clone();
        clients.spawn(async move {
            let mut refused = 0;
            for request in 0..REQUESTS {
                loop {
                    let reply = ask(&router, post(&format!("{client}-{request}"), "")).await;
                    if reply.status == StatusCode::OK {
                        assert!(!reply.is_replayed(), "nobody asks again after an answer");
                        break;
                    }
                    assert!(
                        ["store_unavailable", "in_flight"].contains(&problem_code(&reply).as_str()),
                        "{reply:?}"
                    );
                    refused += 1;
                    tokio::time::sleep(short).await;
                }
            }
            refused
        });
    }
    let refused: usize = clients.join_all().await.into_iter().sum();
    flapping.abort();
    println!("{refused} answers were refusals");
    assert!(refused > 0, "the store was never away");
    assert_eq!(calls.count(), CLIENTS * REQUESTS);
}

#[tokio::test]
async fn a_redb_store_that_was_closed_is_503_and_the_next_process_replays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.idem");
    let calls = Calls::default();
    let over = |store: &RedbStore, limit| {
        let counted = calls.clone();
        let handler = move || async move { format!("answer {}", counted.add()) };
        App::over(Arc::new(store.clone()), handler, |builder| builder.store_timeout(limit))
    };
    // An open store on a slow disk gets its time; a closed store does not recover.
    let (patient, brief) = (Duration::from_mins(1), Duration::from_millis(50));
    let store = RedbStore::open(&*path).await.unwrap();
    assert_eq!(over(&store, patient).ask(post("k", "")).await.text(), "answer 1");
    store.close().await.unwrap();
    is_refused(&over(&store, brief).ask(post("other", "")).await);
    drop(store);
    let store = RedbStore::open(&*path).await.unwrap();
    assert!(over(&store, patient).ask(post("k", "")).await.is_replayed());
    assert_eq!(calls.count(), 1);
}
