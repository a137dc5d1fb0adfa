//! A gRPC server in a process of its own: this test binary, running the same test in another role.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use idem_http::WhenInFlight;
use idem_redis::{RedisConfig, RedisStore};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::pay::{Pay, layer, serve};

const NAME: &str = "IDEM_TEST_SERVER";
const REDIS: &str = "IDEM_TEST_REDIS";
const PREFIX: &str = "IDEM_TEST_PREFIX";
const LEASE: &str = "IDEM_TEST_LEASE_MS";
const WAIT: &str = "IDEM_TEST_WAIT_MS";
/// Marks what a server prints, since the test harness prints on the same line.
const SAYS: &str = "server says: ";

/// A server that is killed when it is dropped, and ends by itself when this process does.
pub(crate) struct ServerProcess {
    child: Child,
    said: mpsc::UnboundedReceiver<String>,
    pub(crate) address: String,
}

/// What all servers of one test share.
pub(crate) struct Servers {
    /// The whole name of the test, which calls [`serve_if_asked`] first.
    pub(crate) test: &'static str,
    pub(crate) redis: String,
    pub(crate) lease: Duration,
    /// How long a retry waits for the first call. With zero it is refused.
    pub(crate) wait: Duration,
}

impl Servers {
    pub(crate) async fn start(&self, name: &str) -> ServerProcess {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([self.test, "--exact", "--nocapture", "--test-threads=1"]);
        command.env(NAME, name).env(REDIS, &self.redis);
        command.env(PREFIX, format!("{}-{}:", self.test, std::process::id()));
        command.env(LEASE, self.lease.as_millis().to_string()).env(WAIT, self.wait.as_millis().to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, said) = mpsc::unbounded_channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some((_, said)) = line.split_once(SAYS) {
                    let _ = sender.send(said.to_owned());
                }
            }
        });
        let mut server = ServerProcess { child, said, address: String::new() };
        server.address = server.says().await;
        server
    }
}

impl ServerProcess {
    /// The next line that the server prints: its address, then each execution.
    pub(crate) async fn says(&mut self) -> String {
        self.said.recv().await.unwrap()
    }

    /// Kills the server, and returns the lines that nobody has read.
    pub(crate) async fn rest(&mut self) -> Vec<String> {
        self.kill();
        let mut rest = Vec::new();
        while let Some(said) = self.said.recv().await {
            rest.push(said);
        }
        rest
    }

    /// Kills the server with SIGKILL: nothing of it runs on.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves, and never returns, if this process was started as a server.
pub(crate) async fn serve_if_asked() {
    let Ok(name) = std::env::var(NAME) else { return };
    let text = |variable| std::env::var(variable).unwrap();
    let time = |variable| Duration::from_millis(text(variable).parse().unwrap());
    thread::spawn(|| {
        // The server ends with the process that started it.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let mut config = RedisConfig::standalone(text(REDIS).parse().unwrap());
    config.prefix = text(PREFIX);
    let store = RedisStore::open(config).await.unwrap();
    let layer = layer(store, |builder| {
        builder.lease(time(LEASE)).when_in_flight(match time(WAIT) {
            Duration::ZERO => WhenInFlight::Refuse,
            wait => WhenInFlight::Wait(wait),
        })
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{SAYS}{}", listener.local_addr().unwrap());
    let witness = |message: &str, attempt| println!("{SAYS}{message} in attempt {attempt}");
    serve(listener, layer, Pay { name: name.into(), witness: Arc::new(witness) }).await;
}
