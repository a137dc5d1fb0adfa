//! Python's grpcio against a server of tonic under the layer, over a real socket. `client.py` is the client.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use idem_core::error::Operation;
use idem_core::{ErrorKind, Store};
use idem_http::{IdempotencyLayerBuilder, KeyRule};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;

use super::pay::{Pay, layer, serve};
use crate::support::{Calls, Fault, FaultyStore, Gate};

/// Where `scripts/install-grpcio` installs grpcio.
const PYTHON: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/grpcio/bin/python");
const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http/grpc/client.py");

/// The address of a server that counts its executions.
async fn server(
    store: impl Store + 'static,
    calls: &Calls,
    options: impl FnOnce(IdempotencyLayerBuilder) -> IdempotencyLayerBuilder,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let calls = calls.clone();
    let witness = move |_: &str, _| {
        calls.add();
    };
    let pay = Pay { name: "tonic".into(), witness: Arc::new(witness) };
    tokio::spawn(serve(listener, layer(store, options), pay));
    address
}

/// What the client prints: a line for each call.
async fn client(address: &str, scenario: &str, arguments: &[&str]) -> Vec<Value> {
    assert!(
        std::fs::exists(PYTHON).unwrap(),
        "grpcio is missing, which these tests need: scripts/install-grpcio"
    );
    let mut command = Command::new(PYTHON);
    command.arg(CLIENT).arg(address).arg(scenario).args(arguments).kill_on_drop(true);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().await.unwrap();
    assert!(output.status.success(), "{scenario} {arguments:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn calls_of<const N: usize>(address: &str, sent: [&str; N]) -> [Value; N] {
    client(address, "calls", &sent).await.try_into().unwrap()
}

/// A header or trailer of a call that the client printed.
fn field<'a>(told: &'a Value, name: &str) -> Option<&'a str> {
    let all = ["headers", "trailers"].iter().flat_map(|part| told[part].as_array().unwrap());
    all.clone().find(|field| field[0] == name).map(|field| field[1].as_str().unwrap())
}

/// A call without its date, its duration and the header that marks a replay.
fn content(told: &Value) -> Value {
    let mut told = told.clone();
    told["ms"] = Value::Null;
    for part in ["headers", "trailers"] {
        told[part]
            .as_array_mut()
            .unwrap()
            .retain(|field| field[0] != "idempotency-replayed" && field[0] != "date");
    }
    told
}

/// A refusal: its status, the problem's code, and the same in its details.
fn refusal(told: &Value) -> (&str, &str) {
    let code = field(told, "idempotency-problem").unwrap();
    assert_eq!(told["reason"], code.to_ascii_uppercase(), "{told}");
    assert_eq!(told["domain"], "idem-http", "{told}");
    let pushback = field(told, "grpc-retry-pushback-ms").map(|pause| pause.parse::<u64>().unwrap());
    assert_eq!(told["retry_ms"].as_u64(), pushback, "{told}");
    (told["code"].as_str().unwrap(), code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpcio_gets_the_same_status_message_trailers_and_body_again() {
    let calls = Calls::default();
    let address = server(FaultyStore::new(), &calls, |builder| builder).await;
    let [first, replay] = calls_of(&address, ["k=pay", "k=pay"]).await;
    assert_eq!((&first["code"], &first["body"]), (&"OK".into(), &"pay by attempt 1".into()));
    assert_eq!((field(&first, "x-served-by"), field(&first, "x-cost")), (Some("tonic"), Some("7")));
    assert_eq!(field(&first, "idempotency-replayed"), None);
    assert_eq!(field(&replay, "idempotency-replayed"), Some("true"));
    assert_eq!(content(&replay), content(&first));
    let [first, replay] = calls_of(&address, ["w=wrong", "w=wrong"]).await;
    assert_eq!(first["code"], "INVALID_ARGUMENT");
    assert_eq!(first["message"], "never: 100 % ä");
    assert_eq!(field(&first, "x-proof-bin"), Some("00ff"));
    assert_eq!(field(&replay, "idempotency-replayed"), Some("true"));
    assert_eq!(content(&replay), content(&first));
    assert_eq!(calls.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpcio_is_refused_with_a_status_and_its_details() {
    let (calls, store) = (Calls::default(), FaultyStore::new());
    let address = server(store.clone(), &calls, |builder| {
        builder.key(KeyRule::Required).store_timeout(Duration::from_millis(500))
    })
    .await;
    let [_, reused, missing, malformed] = calls_of(&address, ["k=pay", "k=other", "pay", "\"k=pay"]).await;
    assert_eq!(refusal(&reused), ("FAILED_PRECONDITION", "key_reused"));
    assert_eq!(refusal(&missing), ("INVALID_ARGUMENT", "key_missing"));
    assert_eq!(refusal(&malformed), ("INVALID_ARGUMENT", "key_malformed"));
    assert_eq!(calls.count(), 1);
    // While the first is running.
    let gate = Gate::new();
    store.fail(Operation::Complete, Fault::Held(gate.clone()));
    let first = tokio::spawn({
        let address = address.clone();
        async move { calls_of(&address, ["slow=pay"]).await }
    });
    gate.entered().await;
    let [in_flight] = calls_of(&address, ["slow=pay"]).await;
    assert_eq!(refusal(&in_flight), ("ABORTED", "in_flight"));
    assert!(in_flight["retry_ms"].as_u64().is_some_and(|pause| pause > 0), "{in_flight}");
    store.mend();
    gate.open();
    let [first] = first.await.unwrap();
    assert_eq!(first["code"], "OK");
    // And while the store cannot answer.
    store.fail_all(&Fault::Refused(ErrorKind::Full));
    let [full] = calls_of(&address, ["new=pay"]).await;
    assert_eq!(refusal(&full), ("UNAVAILABLE", "store_full"));
    store.fail_all(&Fault::Refused(ErrorKind::Unavailable));
    let [down] = calls_of(&address, ["new=pay"]).await;
    assert_eq!(refusal(&down), ("UNAVAILABLE", "store_unavailable"));
    assert_eq!(down["retry_ms"], 1_000);
    assert_eq!(calls.count(), 2);
}

/// By its own policy grpcio would have sent all five attempts within 200 ms.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpcios_own_retries_wait_as_long_as_they_are_told() {
    let (calls, store) = (Calls::default(), FaultyStore::new());
    let address = server(store.clone(), &calls, |builder| builder).await;
    // The store comes back once the first attempt was refused.
    store.fail(Operation::Lock, Fault::RefusedOnce(ErrorKind::Full));
    let told = client(&address, "retried", &["k", "pay"]).await;
    assert_eq!((&told[0]["code"], &told[0]["body"]), (&"OK".into(), &"pay by attempt 1".into()));
    assert!(told[0]["ms"].as_u64().unwrap() >= 900, "the server said 1,000 ms: {told:?}");
    assert_eq!(calls.count(), 1);
    // The retries of a call in flight end with its answer.
    let gate = Gate::new();
    store.fail(Operation::Complete, Fault::Held(gate.clone()));
    let first = tokio::spawn({
        let address = address.clone();
        async move { calls_of(&address, ["slow=pay"]).await }
    });
    gate.entered().await;
    let before = store.locks();
    let retried = tokio::spawn(async move { client(&address, "retried", &["slow", "pay"]).await });
    while store.locks() == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    store.mend();
    gate.open();
    let (told, [first]) = (retried.await.unwrap(), first.await.unwrap());
    assert_eq!(field(&told[0], "idempotency-replayed"), Some("true"));
    assert_eq!(content(&told[0]), content(&first));
    assert_eq!(calls.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpcios_streams_go_untouched_though_they_have_a_key() {
    let (calls, store) = (Calls::default(), FaultyStore::new());
    // Any call to the store fails.
    store.fail_all(&Fault::Refused(ErrorKind::Unavailable));
    let address = server(store, &calls, |builder| builder.key(KeyRule::Required)).await;
    let twice = client(&address, "streams", &[]).await;
    assert_eq!(twice.len(), 2);
    for told in twice {
        assert_eq!(
            told,
            serde_json::json!({"spell": ["a", "b", "c"], "join": "ab", "talk": ["0", "1", "2"]})
        );
    }
}
