//! The server as a process of its own, and requests to it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::example;

/// A server that is killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
    addr: String,
}

impl Server {
    /// Starts a server, and waits until it listens.
    pub(crate) fn start(store: &str, effects: &Path, more: &[&str]) -> Self {
        let mut command = example("payments");
        command.args(["--store", store, "--effects", effects.to_str().unwrap()]);
        if !more.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut child = command.args(more).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let addr = line.trim().strip_prefix("listening on ");
        let addr = addr.unwrap_or_else(|| panic!("it did not start: {line:?}")).to_owned();
        Self { child, output, addr }
    }

    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }

    /// Kills the server with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// What the server prints until it ends, and whether it succeeded.
    pub(crate) fn end(mut self) -> (String, bool) {
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.output, &mut said).unwrap();
        (said, self.child.wait().unwrap().success())
    }

    pub(crate) fn post(&self, path: &str, key: &str) -> RequestBuilder {
        let request = Client::new().post(format!("http://{}{path}", self.addr)).bearer_auth("demo");
        if key.is_empty() { request } else { request.header("idempotency-key", key) }
    }

    pub(crate) fn pay(&self, key: &str, reference: &str) -> RequestBuilder {
        let body = serde_json::json!({ "cents": 250, "reference": reference }).to_string();
        self.post("/payments", key).header("content-type", "application/json").body(body)
    }

    /// The references of what was booked, in order.
    pub(crate) async fn booked(&self) -> Vec<String> {
        let (client, mut references, mut after) = (Client::new(), Vec::new(), 0);
        loop {
            let page = format!("http://{}/payments?after={after}", self.addr);
            let page = json(client.get(page).bearer_auth("demo").send().await.unwrap()).await;
            let page = page.as_array().unwrap();
            let Some(last) = page.last() else { return references };
            after = last["id"].as_u64().unwrap();
            references.extend(page.iter().map(|payment| payment["reference"].as_str().unwrap().to_owned()));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Checks that the server ends with an error that says `why`. A server that listens instead is killed.
pub(crate) fn refused(arguments: &[&str], why: &str) {
    let mut command = example("payments");
    command.args(["--listen", "127.0.0.1:0"]).args(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if !line.is_empty() {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert!(line.is_empty(), "{arguments:?}: {line}");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(why), "{output:?}");
}

pub(crate) async fn json(answer: Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

pub(crate) fn is_replay(answer: &Response) -> bool {
    answer.headers().get("idempotency-replayed").is_some_and(|value| value == "true")
}

/// What is there across the lives of a server: a store, and a folder with a file of effects.
pub(crate) struct Kept {
    folder: TempDir,
    /// None: a redb file in the folder.
    store: Option<String>,
}

impl Kept {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), store: None }
    }

    pub(crate) fn on(store: String) -> Self {
        Self { store: Some(store), ..Self::new() }
    }

    pub(crate) fn store(&self) -> String {
        let file = || format!("redb:{}", self.folder.path().join("payments.idem").display());
        self.store.clone().unwrap_or_else(file)
    }

    pub(crate) fn effects(&self) -> PathBuf {
        self.folder.path().join("effects")
    }

    pub(crate) fn server(&self, more: &[&str]) -> Server {
        Server::start(&self.store(), &self.effects(), more)
    }

    pub(crate) fn happened(&self) -> Vec<String> {
        std::fs::read_to_string(self.effects()).unwrap().lines().map(str::to_owned).collect()
    }
}

/// Waits until `holds`.
pub(crate) async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), wait).await.unwrap();
}
