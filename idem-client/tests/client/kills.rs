//! A process that pays and is killed at any moment, again and again: every payment is executed once.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use idem_client::{Answered, OutgoingRequest};
use idem_core::{Scope, Store};
use idem_http::IdempotencyLayer;
use idem_moka::{MokaConfig, MokaStore};
use tokio::net::TcpListener;

use crate::script::client;

const ROLE: &str = "IDEM_TEST_ROLE";
const SERVER: &str = "IDEM_TEST_SERVER";
const JOURNAL: &str = "IDEM_TEST_JOURNAL";
const PAYMENTS: usize = 150;
const KILLS: u32 = 30;

type Booked = Arc<Mutex<BTreeMap<String, u32>>>;

/// A server that counts how often each payment was executed.
async fn server() -> (String, Booked) {
    let store: Arc<dyn Store> = Arc::new(MokaStore::new(MokaConfig::default()).unwrap());
    let layer = IdempotencyLayer::builder(store, |_| Ok(Scope::shared())).build().unwrap();
    let booked = Booked::default();
    let book = Arc::clone(&booked);
    let handler = move |payment: String| async move {
        *book.lock().unwrap().entry(payment.clone()).or_default() += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
        payment
    };
    let app = Router::new().route("/payments", post(handler)).layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/payments", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, booked)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_payment_of_a_process_that_is_killed_again_and_again_is_executed_once() {
    const TEST: &str = "kills::every_payment_of_a_process_that_is_killed_again_and_again_is_executed_once";
    if std::env::var_os(ROLE).is_some() {
        let journal = Journal(std::env::var_os(JOURNAL).unwrap().into());
        return pay_all(&std::env::var(SERVER).unwrap(), journal).await;
    }
    let (url, booked) = server().await;
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let payer = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([TEST, "--exact"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.env(ROLE, "pay").env(SERVER, &url).env(JOURNAL, &journal).spawn().unwrap()
    };
    let mut dice = fastrand::Rng::new();
    for _ in 0..KILLS {
        let (before, mut payer) = (length(&journal), payer());
        // Once the process has made progress, it is killed at a random moment.
        while length(&journal) == before && payer.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(dice.u64(0..10_000))).await;
        payer.kill().unwrap();
        payer.wait().unwrap();
    }
    let last = payer().wait().unwrap();
    assert!(last.success());
    let journal = Journal(journal);
    assert_eq!(journal.open().len(), 0);
    assert_eq!(journal.answered().len(), PAYMENTS);
    let booked = booked.lock().unwrap();
    assert_eq!(booked.len(), PAYMENTS);
    assert!(booked.values().all(|times| *times == 1), "{booked:?}");
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |data| data.len())
}

/// The work of the process that is killed: first the requests that it left, then the payments that are still to be made.
async fn pay_all(server: &str, journal: Journal) {
    let (keeps, forgets) = (journal.clone(), journal.clone());
    let client = client()
        .persist(move |outgoing: OutgoingRequest| {
            let kept = keeps.append(&serde_json::to_string(&outgoing).unwrap());
            async { kept }
        })
        .forget(move |answered: Answered| {
            let payment = String::from_utf8(answered.body.to_vec()).unwrap();
            let forgotten = forgets.append(&format!("answered {} {payment}", answered.key.as_str()));
            async { forgotten }
        });
    for outgoing in journal.open() {
        client.resume(&outgoing).await.unwrap();
    }
    let answered = journal.answered();
    for number in 0..PAYMENTS {
        let payment = format!("payment-{number}");
        if !answered.contains(&payment) {
            let request = client.inner().post(server).body(payment).build().unwrap();
            client.execute(request).await.unwrap();
        }
    }
}

/// A line for each request that is sent, and for each that was answered. Nothing was sent or recorded for an incomplete line.
#[derive(Clone)]
struct Journal(PathBuf);

impl Journal {
    fn append(&self, line: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.0)?;
        // The line break before ends a line that a kill has cut off.
        file.write_all(format!("\n{line}\n").as_bytes())
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
    }

    fn answered(&self) -> Vec<String> {
        let answered = |line: &String| {
            line.strip_prefix("answered ")?.split_once(' ').map(|(_, payment)| payment.to_owned())
        };
        self.lines().iter().filter_map(answered).collect()
    }

    /// The requests that have no answer yet.
    fn open(&self) -> Vec<OutgoingRequest> {
        let lines = self.lines();
        let kept = lines.iter().filter_map(|line| serde_json::from_str::<OutgoingRequest>(line).ok());
        let is_open = |outgoing: &OutgoingRequest| {
            let answered = format!("answered {} ", outgoing.key().as_str());
            !lines.iter().any(|line| line.starts_with(&answered))
        };
        kept.filter(is_open).collect()
    }
}
