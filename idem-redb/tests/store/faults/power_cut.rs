//! The power fails at a random moment: what was acknowledged is kept, and no transaction is kept in part.

use idem_core::clock::ManualClock;
use idem_redb::RedbConfig;
use tokio::runtime::{Builder, Runtime};

use crate::support::call::{config, open};
use crate::support::disk::Disk;
use crate::support::history::History;
use crate::support::judge::{self, Verdict};
use crate::support::process::quiet::let_redb_panic_quietly;
use crate::support::rng::Rng;
use crate::support::settle;
use crate::support::workload::{self, AfterError, clock};

/// The 1,000 rounds are four tests, which a test runner can run in parallel.
const ROUNDS_IN_A_PART: u64 = 250;

#[test]
fn nothing_acknowledged_is_lost_part_1() {
    nothing_is_lost(0);
}

#[test]
fn nothing_acknowledged_is_lost_part_2() {
    nothing_is_lost(1);
}

#[test]
fn nothing_acknowledged_is_lost_part_3() {
    nothing_is_lost(2);
}

#[test]
fn nothing_acknowledged_is_lost_part_4() {
    nothing_is_lost(3);
}

/// The test of the test: with a disk that only claims to sync, it must report what is lost.
#[test]
fn a_disk_that_lies_about_syncs_is_found_out() {
    let_redb_panic_quietly();
    let mut found = Summary::default();
    for seed in 0..50 {
        found.add(round(seed, true));
    }
    println!("lying disk: {found}");
    assert!(!found.verdict.lost.is_empty(), "losses went unseen: {found}");
}

fn nothing_is_lost(part: u64) {
    let mut found = Summary::default();
    for seed in part * ROUNDS_IN_A_PART..(part + 1) * ROUNDS_IN_A_PART {
        let round = round(seed, false);
        assert!(round.verdict.is_clean(), "seed {seed}: {:#?}", round.verdict);
        found.add(round);
    }
    println!("part {}: {found}", part + 1);
    assert!(found.acknowledged > 0 && found.cut_mid_call > 0, "nothing was at stake: {found}");
}

#[derive(Debug, Default)]
struct Summary {
    rounds: u64,
    cuts: u64,
    /// Cuts that left at least one caller without an answer.
    cut_mid_call: u64,
    cut_while_opening: u64,
    attempts: usize,
    acknowledged: usize,
    verdict: Verdict,
}

impl Summary {
    fn add(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.cuts += other.cuts;
        self.cut_mid_call += other.cut_mid_call;
        self.cut_while_opening += other.cut_while_opening;
        self.attempts += other.attempts;
        self.acknowledged += other.acknowledged;
        self.verdict.add(other.verdict);
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} rounds, {} power cuts ({} in the middle of a call, {} while opening), {} attempts, {} acknowledged \
             completions: {}",
            self.rounds,
            self.cuts,
            self.cut_mid_call,
            self.cut_while_opening,
            self.attempts,
            self.acknowledged,
            self.verdict
        )
    }
}

/// One to three power cuts in the life of one file, then a regular close.
fn round(seed: u64, lies: bool) -> Summary {
    runtime(seed).block_on(async {
        let mut rng = Rng::new(seed);
        let history = History::new(16, 4);
        let clock = clock();
        let mut found = Summary { rounds: 1, ..Summary::default() };
        let mut disk = new_disk(&clock).await;
        for _ in 0..=rng.below(3) {
            let cut_in = 1 + rng.below(120) as u64;
            disk.change_faults(|faults, counts| {
                faults.lies = lies;
                faults.power_cut_at = Some(counts.changes + cut_in);
            });
            live(&disk, &history, &clock, &mut rng, &mut found).await;
            disk = disk.after_power_cut(&mut rng);
            found.cuts += 1;
        }
        end(&disk, &history, &clock, &mut rng, &mut found).await;
        found.attempts = history.attempts();
        found.acknowledged = history.acknowledged_completions();
        found
    })
}

/// Callers on one thread, or on two.
fn runtime(seed: u64) -> Runtime {
    let mut builder =
        if seed.is_multiple_of(4) { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    builder.worker_threads(2).enable_time().build().unwrap()
}

/// The file is created without faults: before it exists, no caller was promised anything.
async fn new_disk(clock: &ManualClock) -> Disk {
    let disk = Disk::new();
    open(&disk, config(), clock).await.unwrap().close().await.unwrap();
    Disk::holding(disk.bytes())
}

/// Opens the file, checks it, and uses it until the power fails.
async fn live(disk: &Disk, history: &History, clock: &ManualClock, rng: &mut Rng, found: &mut Summary) {
    let store = match open(disk, any_config(rng), clock).await {
        Ok(store) => store,
        Err(_) if disk.is_off() => {
            found.cut_while_opening += 1;
            return;
        }
        Err(error) => return found.verdict.unreadable.push(error.to_string()),
    };
    let verdict = judge::read(&store, history, clock).await;
    found.verdict.add(verdict);
    let errors = workload::run(&store, history, clock, rng, (5, 60), AfterError::Stop).await;
    found.cut_mid_call += u64::from(!errors.is_empty());
    let unfit = errors.iter().filter(|error| !error.kind().is_transient());
    found.verdict.wrong.extend(unfit.map(|error| format!("told a caller: {error}")));
}

/// Opens the file a last time, checks it, brings every key to its end, and closes it.
async fn end(disk: &Disk, history: &History, clock: &ManualClock, rng: &mut Rng, found: &mut Summary) {
    let store = match open(disk, any_config(rng), clock).await {
        Ok(store) => store,
        Err(error) => return found.verdict.unreadable.push(error.to_string()),
    };
    let verdict = judge::read(&store, history, clock).await;
    found.verdict.add(verdict);
    let verdict = settle::settle(&store, history, clock).await;
    found.verdict.add(verdict);
    match store.close().await {
        Ok(()) => found.verdict.add(settle::rows(disk, history)),
        Err(error) => found.verdict.unreadable.push(error.to_string()),
    }
}

/// Every promise holds with every setting.
fn any_config(rng: &mut Rng) -> RedbConfig {
    let mut config = config();
    config.quick_repair = rng.chance(1, 2).into();
    config.check_integrity = rng.chance(1, 4);
    config
}
