//! Killing the server with SIGKILL between execution and answer, many times under load.

use std::collections::{BTreeMap, HashSet};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use idem_client::{ClientKey, IdempotentClient, RetryPolicy, with_key};
use reqwest::Client;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::process::{Kept, eventually, is_replay};
use crate::support::example;

const PAYERS: u32 = 8;

fn client() -> IdempotentClient {
    let mut policy = RetryPolicy::default();
    policy.attempts = 10_000;
    policy.window = Duration::from_mins(4);
    policy.first_pause = Duration::from_millis(10);
    policy.longest_pause = Duration::from_millis(200);
    policy.attempt_timeout = Duration::from_secs(5);
    // The server is down most of the time.
    policy.retry_ratio = 1_000.0;
    IdempotentClient::new(Client::builder().pool_max_idle_per_host(0)).unwrap().policy(policy)
}

/// What was answered with 201, and whether by a replay, of an execution whose answer was cut off by a kill.
type Done = Vec<(String, bool)>;

/// Sends one request after the other to `path` until told to stop.
async fn load(addr: Arc<str>, path: &str, name: String, stop: Arc<AtomicBool>) -> Done {
    let (client, mut done) = (client(), Vec::new());
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let reference = format!("{name}-{number}");
        let body = serde_json::json!({ "cents": 250, "reference": reference }).to_string();
        let request = client.inner().post(format!("http://{addr}{path}")).bearer_auth("demo");
        let mut request = request.header("content-type", "application/json").body(body).build().unwrap();
        with_key(&mut request, &ClientKey::new(reference.clone()).unwrap()).unwrap();
        let answer = client.execute(request).await.unwrap();
        let replayed = is_replay(&answer);
        assert_eq!(answer.status(), 201, "{reference}: {}", answer.text().await.unwrap());
        done.push((reference, replayed));
    }
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_are_booked_once_and_no_saved_step_is_repeated_through_fifty_kills() {
    through_kills(&Kept::new(), 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_in_postgres_are_booked_once_through_twenty_kills() {
    let postgres = idem_servers::postgres::Server::lone().await;
    through_kills(&Kept::on(postgres.node().uri()), 20).await;
}

async fn through_kills(kept: &Kept, kills: u32) {
    let fresh = ["--lease", "1s", "--pause", "20ms"];
    let mut server = kept.server(&fresh);
    let addr: Arc<str> = server.addr().into();
    let stop = Arc::new(AtomicBool::new(false));
    let (mut payers, mut orderers) = (JoinSet::new(), JoinSet::new());
    for number in 0..PAYERS {
        let (pay, order) = ((Arc::clone(&addr), Arc::clone(&stop)), (Arc::clone(&addr), Arc::clone(&stop)));
        payers.spawn(async move { load(pay.0, "/payments", format!("pay-{number}"), pay.1).await });
        orderers.spawn(async move { load(order.0, "/orders", format!("order-{number}"), order.1).await });
    }
    for kill in 0..kills {
        let before = server.booked().await.len();
        eventually(async || server.booked().await.len() > before).await;
        // At a different moment of the handlers each time.
        sleep(Duration::from_millis(u64::from(kill * 37 % 300))).await;
        server.kill();
        let again = [&fresh[..], &["--listen", &addr]].concat();
        server = kept.server(&again);
    }
    stop.store(true, Ordering::Relaxed);
    let (paid, ordered) = (payers.join_all().await.concat(), orderers.join_all().await.concat());

    let mut booked = BTreeMap::<String, u32>::new();
    for reference in server.booked().await {
        *booked.entry(reference).or_default() += 1;
    }
    let wrong: Vec<_> = booked.iter().filter(|(_, count)| **count != 1).collect();
    assert!(wrong.is_empty(), "booked more than once: {wrong:?}");
    assert_eq!(booked.keys().collect::<HashSet<_>>(), paid.iter().map(|(reference, _)| reference).collect());
    // Only a kill loses an answer here, so each replay is of one that was cut off.
    let cut_off = paid.iter().filter(|(_, replayed)| *replayed).count();
    assert!(cut_off >= kills as usize, "only {cut_off} payments were between execution and answer");
    let resumed = check_steps(&kept.happened(), &ordered);
    assert!(resumed > 0, "no kill came between a step and its checkpoint");
    println!(
        "{kills} kills: {} payments booked once each, {cut_off} of them cut off before the answer; {} orders, {resumed} \
         of whose steps happened again, none after its checkpoint was saved",
        paid.len(),
        ordered.len()
    );
}

/// Checks that every step happened, and none again after it was saved. Returns how often a step happened again before.
fn check_steps(lines: &[String], ordered: &[(String, bool)]) -> usize {
    let (mut happened, mut saved) = (BTreeMap::<(&str, &str), usize>::new(), HashSet::new());
    for line in lines {
        let [order, step, what] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line:?}") };
        if what == "saved" {
            saved.insert((order, step));
        } else {
            assert!(!saved.contains(&(order, step)), "{order}: {step} after it was saved");
            *happened.entry((order, step)).or_default() += 1;
        }
    }
    for (order, _) in ordered {
        for step in ["reserve", "charge", "mail"] {
            assert!(happened.contains_key(&(order, step)), "{order}: no {step}");
        }
    }
    happened.values().map(|count| count - 1).sum()
}

#[test]
fn a_server_that_is_killed_while_it_creates_its_file_starts_again() {
    for kill in 0..60 {
        let kept = Kept::new();
        let mut first = example("payments");
        first.args(["--store", &kept.store(), "--listen", "127.0.0.1:0"]);
        first.arg("--effects").arg(kept.effects());
        let mut first = first.stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(kill * 500));
        first.kill().unwrap();
        first.wait().unwrap();
        // Fails unless the server listens.
        kept.server(&[]).kill();
    }
}

#[test]
fn the_checker_finds_a_repeated_step() {
    let lines = ["o reserve happened", "o reserve saved", "o reserve happened"].map(str::to_owned);
    assert!(std::panic::catch_unwind(|| check_steps(&lines, &[])).is_err());
    let lines = ["o reserve happened", "o reserve happened", "o reserve saved"].map(str::to_owned);
    assert_eq!(check_steps(&lines, &[]), 1);
}
