//! A server that plays a script, and records the bytes that it was sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use idem_client::{IdempotentClient, RetryPolicy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// What the server does with one request, after it has read it.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Closes the connection without an answer.
    Drop,
    /// Keeps the connection open, and never answers.
    Silence,
    /// Answers with this status line and these headers, each line ended by `\r\n`. `Content-Length` and the body are added.
    Answer(&'static str),
    /// Answers with exactly this head and body, and closes the connection.
    Raw(String),
    /// Answers with exactly this, and keeps the connection open.
    Stall(String),
}

pub(crate) struct Script {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
    server: AbortHandle,
}

impl Script {
    /// Plays `acts` one after the other, each on a connection of its own. Further requests are answered with 200.
    pub(crate) async fn of(acts: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/payments", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut acts: VecDeque<_> = acts.into_iter().collect();
        let log = Arc::clone(&seen);
        let server = tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Ok((mut connection, _)) = listener.accept().await {
                let request = read(&mut connection).await;
                log.lock().unwrap().push(request);
                match acts.pop_front().unwrap_or(Act::Answer("200 OK\r\n")) {
                    Act::Drop => {}
                    Act::Silence => silent.push(connection),
                    Act::Answer(head) => {
                        let answer =
                            format!("HTTP/1.1 {head}Content-Length: 4\r\nConnection: close\r\n\r\npaid");
                        let _ = connection.write_all(answer.as_bytes()).await;
                    }
                    Act::Raw(answer) => {
                        let _ = connection.write_all(answer.as_bytes()).await;
                    }
                    Act::Stall(answer) => {
                        let _ = connection.write_all(answer.as_bytes()).await;
                        silent.push(connection);
                    }
                }
            }
        });
        Self { url, seen, server: server.abort_handle() }
    }

    /// All requests, as they were received.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// The value of the header `Idempotency-Key` in each request; empty where it is missing.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.values("idempotency-key")
    }

    /// The value of one header in each request; empty where it is missing.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        let value = |request: &String| {
            let lines = request.lines().filter_map(|line| line.split_once(':'));
            let mut values = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
            values.next().map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        self.seen().iter().map(value).collect()
    }

    pub(crate) fn post(&self, body: &'static str) -> reqwest::Request {
        reqwest::Client::new().post(&self.url).body(body).build().unwrap()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Reads a whole request, with a `Content-Length` or a chunked body.
async fn read(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let chunked = head.contains("transfer-encoding: chunked");
            if if chunked { body.ends_with("0\r\n\r\n") } else { body.len() >= length.unwrap_or(0) } {
                return text;
            }
        }
        match connection.read(&mut buffer).await {
            Ok(length) if length > 0 => bytes.extend_from_slice(&buffer[..length]),
            _ => return text,
        }
    }
}

/// A client with short pauses, which uses no connection twice.
pub(crate) fn client() -> IdempotentClient {
    IdempotentClient::new(plain().timeout(Duration::from_secs(5))).unwrap().policy(quick())
}

/// A client without a timeout, which uses no connection twice.
pub(crate) fn plain() -> reqwest::ClientBuilder {
    reqwest::Client::builder().pool_max_idle_per_host(0)
}

pub(crate) fn quick() -> RetryPolicy {
    let mut policy = RetryPolicy::default();
    policy.attempts = 4;
    policy.retries_per_second = 1_000;
    policy.first_pause = Duration::from_millis(5);
    policy.longest_pause = Duration::from_millis(20);
    policy
}
