//! What is kept of a request is enough to send exactly the same request again from another process.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, io};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use idem_client::{Answered, Failure, IdempotencyMiddleware, OutgoingRequest};
use idem_core::{Scope, Store};
use idem_http::IdempotencyLayer;
use idem_moka::{MokaConfig, MokaStore};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest_middleware::ClientBuilder;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::format::{kept, written_and_read};
use crate::script::{Act, Script, client, plain, quick};

const ROLE: &str = "IDEM_TEST_ROLE";
const SERVER: &str = "IDEM_TEST_SERVER";
const JOURNAL: &str = "IDEM_TEST_JOURNAL";
const BODY: &[u8] = b"\x00\xff 12 EUR";

/// A server, in the process that is not killed, whose handler waits for a permit.
struct Server {
    url: String,
    executions: Arc<AtomicU32>,
    begun: mpsc::UnboundedReceiver<()>,
    permits: Arc<Semaphore>,
}

async fn server() -> Server {
    let store: Arc<dyn Store> = Arc::new(MokaStore::new(MokaConfig::default()).unwrap());
    let layer = IdempotencyLayer::builder(store, |_| Ok(Scope::shared())).build().unwrap();
    let (executions, permits) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
    let (begins, begun) = mpsc::unbounded_channel();
    let (counted, permit) = (Arc::clone(&executions), Arc::clone(&permits));
    let handler = move |headers: HeaderMap, body: Bytes| async move {
        if headers[AUTHORIZATION] != "Bearer s3cret" || headers["x-note"] != "kept" || body != BODY {
            return (StatusCode::IM_A_TEAPOT, format!("{headers:?} {body:?}"));
        }
        let execution = counted.fetch_add(1, Ordering::SeqCst) + 1;
        begins.send(()).unwrap();
        permit.acquire().await.unwrap().forget();
        (StatusCode::CREATED, format!("execution {execution}"))
    };
    let app = Router::new().route("/payments", post(handler)).layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/payments", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    Server { url, executions, begun, permits }
}

/// A process that runs this test again in another role, on the journal.
fn process(role: &str, server: &str, journal: &Path) -> Command {
    const TEST: &str = "restart::a_killed_process_resumes_what_it_kept";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([TEST, "--exact", "--nocapture"]);
    command.env(ROLE, role).env(SERVER, server).env(JOURNAL, journal);
    command
}

/// The process that pays. Dropping it kills it with SIGKILL, even when the test fails.
struct Payer(Child);

impl Drop for Payer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_killed_process_resumes_what_it_kept() {
    if let Ok(role) = std::env::var(ROLE) {
        return play(&role, &std::env::var(SERVER).unwrap(), Path::new(&std::env::var(JOURNAL).unwrap()))
            .await;
    }
    let mut server = server().await;
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let payer = Payer(process("pay", &server.url, &journal).stdout(Stdio::null()).spawn().unwrap());
    timeout(Duration::from_mins(1), server.begun.recv()).await.unwrap().unwrap();
    drop(payer);
    let kept = fs::read_to_string(&journal).unwrap();
    assert_eq!(kept.lines().count(), 1, "{kept}");
    assert!(!kept.contains("s3cret") && kept.contains("authorization"), "{kept}");

    server.permits.add_permits(9);
    let mut again = process("resume", &server.url, &journal);
    let Output { stdout, status, .. } =
        tokio::task::spawn_blocking(move || again.output()).await.unwrap().unwrap();
    let said = String::from_utf8(stdout).unwrap();
    assert!(status.success() && said.contains("answer: 201 execution 1"), "{said}");
    assert_eq!(server.executions.load(Ordering::SeqCst), 1);
    assert_eq!(fs::read_to_string(&journal).unwrap(), "", "nothing is left");
}

/// The work of the other process.
async fn play(role: &str, server: &str, journal: &Path) {
    let first = role == "pay";
    let (kept, forgotten) = (journal.to_owned(), journal.to_owned());
    let client = client()
        .persist(move |outgoing: OutgoingRequest| {
            let line = serde_json::to_string(&outgoing).unwrap();
            let kept = if first { append(&kept, &line) } else { Err(io::Error::other("a second time")) };
            async { kept }
        })
        .forget(move |answered: Answered| {
            let journal = fs::read_to_string(&forgotten).unwrap();
            let others = journal.lines().filter(|line| !line.contains(answered.key.as_str()));
            let left = fs::write(&forgotten, others.collect::<String>());
            async { left }
        });
    let answer = if first {
        let request = client.inner().post(server).bearer_auth("s3cret").header("x-note", "kept").body(BODY);
        client.execute(request.build().unwrap()).await.unwrap()
    } else {
        let mut outgoing: OutgoingRequest =
            serde_json::from_str(&fs::read_to_string(journal).unwrap()).unwrap();
        assert_eq!(outgoing.missing(), [AUTHORIZATION]);
        outgoing.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer s3cret"));
        client.resume(&outgoing).await.unwrap()
    };
    println!("answer: {} {}", answer.status().as_u16(), answer.text().await.unwrap());
}

fn append(journal: &Path, line: &str) -> io::Result<()> {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().append(true).create(true).open(journal)?;
    writeln!(file, "{line}")?;
    file.sync_all()
}

#[tokio::test]
async fn a_resumed_request_has_the_same_bytes_with_wrapper_and_middleware() {
    let server = Script::of([Act::Drop]).await;
    let mut request = server.post("12 EUR \u{e9}");
    request.headers_mut().append("x-many", HeaderValue::from_static("one"));
    request.headers_mut().append("x-many", HeaderValue::from_bytes(b"t\xe9").unwrap());
    let given = kept(request.try_clone().unwrap()).await;
    let outgoing = written_and_read(&given);
    // A format that does not name fields.
    let compact: OutgoingRequest = rmp_serde::from_slice(&rmp_serde::to_vec(&given).unwrap()).unwrap();
    assert_eq!(serde_json::to_value(&compact).unwrap(), serde_json::to_value(&outgoing).unwrap());
    idem_client::with_key(&mut request, outgoing.key()).unwrap();
    client().execute(request).await.unwrap();
    let unwritten = || client().persist(|_| async { Err(io::Error::other("a second time")) });
    assert_eq!(unwritten().resume(&outgoing).await.unwrap().status(), 200);
    let middleware = IdempotencyMiddleware::new().policy(quick());
    let middleware = middleware.persist(|_| async { Err(io::Error::other("a second time")) });
    let through = ClientBuilder::new(plain().build().unwrap()).with(middleware).build();
    assert_eq!(IdempotencyMiddleware::resume(&through, &outgoing).await.unwrap().status(), 200);
    let sorted = |request: &String| {
        let mut lines: Vec<_> = request.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let seen: Vec<_> = server.seen().iter().map(sorted).collect();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|request| *request == seen[0]), "{seen:#?}");
}

/// A middleware that first sends another request with the extensions of the resumed one, as one that fetches a token does.
struct FetchesToken(reqwest::Request);

#[async_trait::async_trait]
impl reqwest_middleware::Middleware for FetchesToken {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut http::Extensions,
        next: reqwest_middleware::Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        next.clone().run(self.0.try_clone().unwrap(), extensions).await?;
        next.run(request, extensions).await
    }
}

/// The other request has a key of its own, and its answer does not make the client forget the resumed one.
#[tokio::test]
async fn a_request_of_another_middleware_is_not_taken_for_the_resumed_one() {
    let server = Script::of([]).await;
    let outgoing = written_and_read(&kept(server.post("12 EUR")).await);
    let forgotten = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&forgotten);
    let middleware = IdempotencyMiddleware::new().policy(quick()).forget(move |over: Answered| {
        told.lock().unwrap().push(over.key.clone());
        async { Ok::<_, io::Error>(()) }
    });
    let outer = FetchesToken(server.post("a token, please"));
    let through = ClientBuilder::new(plain().build().unwrap()).with(outer).with(middleware).build();
    IdempotencyMiddleware::resume(&through, &outgoing).await.unwrap();
    let forgotten = forgotten.lock().unwrap();
    assert_eq!(forgotten.len(), 2);
    assert_ne!(forgotten[0], *outgoing.key(), "the key of the request for a token");
    assert_eq!(forgotten[1], *outgoing.key());
}

#[tokio::test]
async fn secrets_are_not_written_and_must_be_put_back() {
    let server = Script::of([]).await;
    let mut request = server.post("12 EUR");
    let mut sensitive = HeaderValue::from_static("s3cret");
    sensitive.set_sensitive(true);
    request.headers_mut().insert("x-mine", sensitive);
    for name in ["authorization", "cookie", "x-api-key"] {
        request.headers_mut().insert(name, HeaderValue::from_static("s3cret"));
    }
    request.url_mut().set_password(Some("s3cret")).unwrap();
    let given = kept(request).await;
    assert_eq!(given.headers()["cookie"], "s3cret", "the hook itself has them");
    assert!(!format!("{given:?}").contains("s3cret"));
    let text = serde_json::to_string(&given).unwrap();
    assert!(!text.contains("s3cret"), "{text}");
    let mut outgoing: OutgoingRequest = serde_json::from_str(&text).unwrap();
    for name in ["authorization", "cookie", "x-api-key", "x-mine"] {
        let error = client().resume(&outgoing).await.unwrap_err();
        assert!(matches!(error.failure(), Failure::NotResumed(_)), "{error:?}");
        assert_eq!(error.key(), Some(outgoing.key()));
        assert!(outgoing.missing().contains(&HeaderName::from_static(name)));
        outgoing.headers_mut().insert(name, HeaderValue::from_static("t0day"));
    }
    assert_eq!(server.seen().len(), 0);
    client().resume(&outgoing).await.unwrap();
    let again = serde_json::to_string(&outgoing).unwrap();
    assert!(!again.contains("t0day"), "a secret header stays secret: {again}");
}

#[tokio::test]
async fn a_key_that_the_server_may_have_forgotten_is_not_sent_again() {
    let server = Script::of([]).await;
    let outgoing = kept(server.post("12 EUR")).await;
    let written = serde_json::to_value(&outgoing).unwrap();
    let (first, until) = (written["first_sent"].as_u64().unwrap(), written["until"].as_u64().unwrap());
    assert_eq!(until - first, 24 * 60 * 60);
    // A day older, and written by a clock that is an hour ahead of this one.
    for (first, until) in [(first - 86_400, until - 86_400), (first + 3_600, until + 3_600)] {
        let mut changed = written.clone();
        (changed["first_sent"], changed["until"]) = (first.into(), until.into());
        let outgoing: OutgoingRequest = serde_json::from_value(changed).unwrap();
        let error = client().resume(&outgoing).await.unwrap_err();
        assert!(matches!(error.failure(), Failure::NotResumed(_)), "{error:?}");
    }
    assert_eq!(server.seen().len(), 0);
    client().resume(&outgoing).await.unwrap();
}
