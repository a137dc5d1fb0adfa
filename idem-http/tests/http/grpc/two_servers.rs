//! Two servers in processes of their own behind one Redis: a client of tonic calls one, and its retry goes to the other.

use std::time::Duration;

use bytes::Bytes;
use idem_servers::redis::shared_lone;
use tokio::time::{sleep, timeout};
use tonic::metadata::MetadataMap;
use tonic::{Code, Response, Status};

use super::pay::{DETAILS, call};
use super::process::{ServerProcess, Servers, serve_if_asked};

/// Longer than any lease here.
const LONGEST: Duration = Duration::from_mins(1);

async fn servers(test: &'static str, lease: Duration, wait: Duration) -> [ServerProcess; 2] {
    let servers = Servers { test, redis: shared_lone().await.to_string(), lease, wait };
    [servers.start("one").await, servers.start("two").await]
}

/// Metadata without the date and the header that marks a replay.
fn content(metadata: &MetadataMap) -> MetadataMap {
    let mut metadata = metadata.clone();
    metadata.remove("idempotency-replayed");
    metadata.remove("date");
    metadata
}

fn is_replay(metadata: &MetadataMap) -> bool {
    metadata.get("idempotency-replayed").is_some_and(|value| value == "true")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_at_the_other_server_has_the_same_status_message_and_trailers() {
    serve_if_asked().await;
    let test = "grpc::two_servers::a_retry_at_the_other_server_has_the_same_status_message_and_trailers";
    let mut servers = servers(test, Duration::from_secs(30), Duration::ZERO).await;
    for turn in 0..10 {
        let [first, other] = [&servers[turn % 2].address, &servers[(turn + 1) % 2].address];
        let key = format!("pay-{turn}");
        let (executed, replay) =
            (call(first, &key, "pay").await.unwrap(), call(other, &key, "pay").await.unwrap());
        assert!(!is_replay(executed.metadata()) && is_replay(replay.metadata()));
        assert_eq!(executed.metadata().get("x-cost").unwrap(), "7", "a trailer of the handler's own");
        assert_eq!(executed.metadata().get("x-served-by").unwrap(), ["one", "two"][turn % 2]);
        assert_eq!(content(replay.metadata()).into_headers(), content(executed.metadata()).into_headers());
        assert_eq!(executed.get_ref(), "pay by attempt 1");
        assert_eq!(replay.get_ref(), executed.get_ref());

        let key = format!("wrong-{turn}");
        let executed = call(first, &key, "wrong").await.unwrap_err();
        let replay = call(other, &key, "wrong").await.unwrap_err();
        assert!(!is_replay(executed.metadata()) && is_replay(replay.metadata()));
        assert_eq!((executed.code(), executed.message()), (Code::InvalidArgument, "never: 100 % ä"));
        assert_eq!((replay.code(), replay.message()), (executed.code(), executed.message()));
        assert_eq!(executed.details(), DETAILS);
        assert_eq!(replay.details(), executed.details());
        assert_eq!(executed.metadata().get_bin("x-proof-bin").unwrap().to_bytes().unwrap(), &b"\0\xFF"[..]);
        assert_eq!(content(replay.metadata()).into_headers(), content(executed.metadata()).into_headers());
    }
    for server in &mut servers {
        let ran = [["pay in attempt 1", "wrong in attempt 1"]; 5].concat();
        for execution in ran {
            assert_eq!(server.says().await, execution);
        }
        assert_eq!(server.rest().await, [""; 0], "each ran once, where it was sent first");
    }
}

/// Kills the first server during a call and sends that call to the other one until it is answered. Returns the refusals
/// until then, and the answer.
async fn after_a_kill(servers: &mut [ServerProcess; 2]) -> (Vec<Status>, Response<Bytes>) {
    let [one, two] = servers;
    let address = one.address.clone();
    let first = tokio::spawn(async move { call(&address, "k", "hang").await });
    assert_eq!(one.says().await, "hang in attempt 1");
    one.kill();
    assert!(first.await.unwrap().is_err(), "its server died in its handler");
    let mut refusals = Vec::new();
    loop {
        let retry = call(&two.address, "k", "hang");
        match timeout(LONGEST, retry).await.unwrap() {
            Ok(answer) => return (refusals, answer),
            Err(refusal) => refusals.push(refusal),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// The surviving server has executed the call once, and replays it.
async fn is_executed_once(two: &mut ServerProcess, answer: &Response<Bytes>) {
    assert_eq!(answer.get_ref(), "hang by attempt 2");
    assert_eq!(answer.metadata().get("x-served-by").unwrap(), "two");
    let replay = call(&two.address, "k", "hang").await.unwrap();
    assert!(is_replay(replay.metadata()) && !is_replay(answer.metadata()));
    assert_eq!(replay.get_ref(), answer.get_ref());
    assert_eq!(two.says().await, "hang in attempt 2");
    assert_eq!(two.rest().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_after_a_kill_is_aborted_until_the_lease_is_over_and_then_runs_once() {
    serve_if_asked().await;
    let test =
        "grpc::two_servers::a_retry_after_a_kill_is_aborted_until_the_lease_is_over_and_then_runs_once";
    let mut servers = servers(test, Duration::from_secs(3), Duration::ZERO).await;
    let (refusals, answer) = after_a_kill(&mut servers).await;
    assert!(!refusals.is_empty(), "the lease outlived its server");
    for refusal in refusals {
        assert_eq!(refusal.code(), Code::Aborted, "{refusal}");
        let metadata = refusal.metadata();
        assert_eq!(metadata.get("idempotency-problem").unwrap(), "in_flight");
        let pushback: u64 =
            metadata.get("grpc-retry-pushback-ms").unwrap().to_str().unwrap().parse().unwrap();
        assert!((1..=3_000).contains(&pushback), "{pushback}");
    }
    is_executed_once(&mut servers[1], &answer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_waits_runs_once_the_lease_of_a_killed_server_is_over() {
    serve_if_asked().await;
    let test = "grpc::two_servers::a_retry_that_waits_runs_once_the_lease_of_a_killed_server_is_over";
    let mut servers = servers(test, Duration::from_secs(2), LONGEST).await;
    let (refusals, answer) = after_a_kill(&mut servers).await;
    assert!(refusals.is_empty(), "{refusals:?}");
    is_executed_once(&mut servers[1], &answer).await;
}
