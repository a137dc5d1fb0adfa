//! A process is killed at random moments, fifty times on one file: what it acknowledged is kept, and no key is
//! completed twice.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Stdio};
use std::time::Duration;

use bytes::Bytes;
use idem_core::{Claim, Effect, LockAnswer, Outcome, Owner, Result, Store};
use idem_redb::{RedbConfig, RedbStore};
use redb::{Database, ReadableDatabase};
use tokio::task::JoinSet;

use crate::support::call::key;
use crate::support::process::child;
use crate::support::rng::Rng;
use crate::support::workload::{BOOKED, complete_with_row, fingerprint};

const TEST: &str = "faults::kill::nothing_acknowledged_is_lost_to_fifty_kills";
const KILLS: usize = 50;
const CALLERS: usize = 8;
/// How many keys each life of the process adds; earlier keys stay in use.
const KEYS_A_LIFE: usize = 60;
/// Short, so that the next life takes over what this one held.
const LEASE: Duration = Duration::from_millis(20);

#[test]
fn nothing_acknowledged_is_lost_to_fifty_kills() {
    if let Some(role) = child::role() {
        return live(&role);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.idem");
    let mut rng = Rng::new(50);
    let mut told = Told::default();
    for life in 0..KILLS {
        one_life(&path, life, &mut rng, &mut told);
        check(&path, &told, life);
    }
    check_rows(&path, &told);
    println!(
        "{KILLS} kills: {} locks and {} completions of {} keys acknowledged, {} replays; {} answers were cut off",
        told.locks,
        told.completions,
        told.completed.len(),
        told.replays,
        told.cut_off
    );
    assert!(told.completed.len() > KILLS, "hardly anything was at stake");
}

/// A new file is renamed to its path once it is complete.
#[test]
fn a_kill_while_the_file_is_made_leaves_none_or_a_whole_one() {
    if let Some(role) = child::role() {
        return live(&role);
    }
    let test = "faults::kill::a_kill_while_the_file_is_made_leaves_none_or_a_whole_one";
    let mut rng = Rng::new(30);
    let (mut none, mut whole) = (0, 0);
    for _ in 0..30 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("payments.idem");
        let mut child = child::command(test, &format!("0 {}", path.display()));
        let mut child = child.stdout(Stdio::null()).spawn().unwrap();
        // Waits for the first sign of a file, then for a moment more.
        while fs::read_dir(folder.path()).unwrap().next().is_none() {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_micros(rng.below(20_000) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        if path.exists() {
            whole += 1;
        } else {
            none += 1;
        }
        runtime().block_on(async { open(&path, 0).await.close().await.unwrap() });
    }
    println!("30 kills while the file was made: {none} left none, {whole} a whole one");
}

/// What the processes reported before they were killed.
#[derive(Default)]
struct Told {
    /// For each key, the value that was acknowledged or replayed first.
    completed: HashMap<usize, String>,
    /// For each key, the highest sequence that was acknowledged.
    sequences: HashMap<usize, u64>,
    locks: usize,
    completions: usize,
    replays: usize,
    cut_off: usize,
}

impl Told {
    /// Takes in one line of a process: what happened, the key, and its value or sequence.
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[what @ ("locked" | "completed" | "replayed"), number, value] = &words[..] else {
            assert!(!line.starts_with("error"), "{line}");
            return;
        };
        let number: usize = number.parse().unwrap();
        match what {
            "locked" => self.locks += 1,
            "completed" => self.completions += 1,
            _ => self.replays += 1,
        }
        if what == "locked" {
            let newest = self.sequences.entry(number).or_default();
            *newest = value.parse::<u64>().unwrap().max(*newest);
        } else {
            let before = self.completed.entry(number).or_insert_with(|| value.to_owned());
            assert_eq!(before, value, "key {number} was accepted twice");
        }
        // The attempt that completed a key is the last one that held it.
        if let (Some(locked), Some(completed)) = (self.sequences.get(&number), self.completed.get(&number)) {
            assert!(
                *locked <= sequence_of(completed),
                "key {number}: completed by {completed}, locked as {locked}"
            );
        }
    }
}

/// The sequence in a value that [`one_call`] made.
fn sequence_of(value: &str) -> u64 {
    value.split('/').nth(2).unwrap().parse().unwrap()
}

/// Starts the process, reads its reports for a random while, kills it, and reads the rest.
fn one_life(path: &Path, life: usize, rng: &mut Rng, told: &mut Told) {
    let role = format!("{life} {}", path.display());
    let mut child = child::command(TEST, &role).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..=rng.below(300) {
        hear_line(&mut lines, told).expect("the process ended by itself");
    }
    // So that the kill does not always come right after an acknowledgement.
    std::thread::sleep(Duration::from_micros(rng.below(3_000) as u64));
    child.kill().unwrap();
    while hear_line(&mut lines, told).is_some() {}
    assert!(!child.wait().unwrap().success());
}

/// `None` at the end of the output, also where the last line was cut off: such a report says nothing.
fn hear_line(lines: &mut BufReader<ChildStdout>, told: &mut Told) -> Option<()> {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let whole = line.strip_suffix('\n');
    told.cut_off += usize::from(whole.is_none() && !line.is_empty());
    told.hear(whole?);
    Some(())
}

/// Everything that was acknowledged is in the file that the killed process left behind.
fn check(path: &Path, told: &Told, life: usize) {
    runtime().block_on(async {
        let store = open(path, life).await;
        for (number, value) in &told.completed {
            let record = store.get(&key(*number)).await.unwrap();
            let outcome = record.as_ref().and_then(|record| record.outcome());
            let expected = Outcome::Value(Bytes::from(value.clone()));
            assert_eq!(outcome, Some(&expected), "life {life}, key {number}: {record:?}");
        }
        for (number, sequence) in &told.sequences {
            let record = store.get(&key(*number)).await.unwrap();
            let kept = record.as_ref().map(|record| record.token.sequence);
            assert!(
                kept >= Some(*sequence),
                "life {life}, key {number}: locked as {sequence}, and now {record:?}"
            );
        }
        store.close().await.unwrap();
    });
}

/// The application's own row was committed together with the completion: every key completed with a row has it.
fn check_rows(path: &Path, told: &Told) {
    let database = Database::open(path).unwrap();
    let rows = database.begin_read().unwrap().open_table(BOOKED).unwrap();
    for (number, value) in &told.completed {
        let booked = rows.get(key(*number).storage_key()).unwrap().map_or(0, |count| count.value());
        assert_eq!(booked, u64::from(value.ends_with("/row")), "key {number}: {value}");
    }
}

/// The process that is killed: callers lock and complete keys, and report each acknowledgement.
fn live(role: &str) {
    let (life, path) = role.split_once(' ').unwrap();
    let (life, path) = (life.parse::<usize>().unwrap(), PathBuf::from(path));
    runtime().block_on(async {
        let store = open(&path, life).await;
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (store, mut rng) = (store.clone(), Rng::new((life * CALLERS + caller) as u64));
            callers.spawn(async move {
                loop {
                    let number = rng.below((life + 1) * KEYS_A_LIFE);
                    if let Err(error) = one_call(&store, number, life, caller, &mut rng).await {
                        say(&format!("error {error}"));
                    }
                }
            });
        }
        callers.join_all().await;
    });
}

async fn one_call(store: &RedbStore, number: usize, life: usize, caller: usize, rng: &mut Rng) -> Result<()> {
    let owner = Owner::random()?;
    let claim = Claim { owner, lease: LEASE, retention: Duration::from_hours(24) };
    match store.lock(&key(number), &fingerprint(), &claim).await? {
        LockAnswer::Acquired(lease) => {
            say(&format!("locked {number} {}", lease.token().sequence));
            let with_row = rng.chance(1, 4);
            // No other attempt completes with this value.
            let how = if with_row { "row" } else { "alone" };
            let value = format!("{life}/{caller}/{}/{:x}/{how}", lease.token().sequence, rng.next());
            let outcome = Outcome::Value(Bytes::from(value.clone()));
            let effect = if with_row {
                complete_with_row(store, &lease, outcome).await?
            } else {
                store.complete(&lease, outcome, lease.retention()).await?
            };
            if effect == Effect::Applied {
                say(&format!("completed {number} {value}"));
            }
        }
        LockAnswer::Completed(replay) => {
            let Outcome::Value(value) = replay.outcome else { return Ok(()) };
            say(&format!("replayed {number} {}", String::from_utf8_lossy(&value)));
        }
        LockAnswer::InProgress { .. } => {}
        LockAnswer::FingerprintMismatch => say("error fingerprint mismatch"),
    }
    tokio::task::yield_now().await;
    Ok(())
}

/// Writes the line in one call: a kill leaves it whole, or without its end.
fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("{line}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}

async fn open(path: &Path, life: usize) -> RedbStore {
    let mut config = RedbConfig::new(path);
    config.quick_repair = (!life.is_multiple_of(3)).into();
    config.check_integrity = life.is_multiple_of(5);
    RedbStore::open(config).await.unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}
