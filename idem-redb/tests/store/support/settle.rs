//! Uses a store on after a fault until every key is completed, and checks that each was completed once.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use idem_core::clock::ManualClock;
use idem_core::error::Operation;
use idem_core::record::Replay;
use idem_core::{Claim, Effect, Error, ErrorKind, Key, LockAnswer, Outcome, Owner, Result, Store};
use idem_redb::RedbStore;
use redb::{Database, ReadableDatabase, ReadableTable, TableError};

use super::disk::Disk;
use super::history::{Attempt, Completing, History, Sent};
use super::judge::Verdict;
use super::workload::{BOOKED, LEASE, complete_with_row, fingerprint};

/// Sends unanswered completions again, completes unfinished keys, and lets late holders try once more. In the end every
/// key must have exactly one completion, the one that was acknowledged first.
pub(crate) async fn settle(store: &RedbStore, history: &History, clock: &ManualClock) -> Verdict {
    let mut verdict = Verdict::default();
    let count = history.keys().len();
    for number in 0..count {
        if let Err(error) = settle_key(store, history, number, clock, &mut verdict).await {
            let key = history.keys()[number].key;
            verdict.unreadable.push(format!("{key:?}: {error}"));
        }
    }
    verdict
}

async fn settle_key(
    store: &RedbStore,
    history: &History,
    number: usize,
    clock: &ManualClock,
    verdict: &mut Verdict,
) -> Result<()> {
    let (key, short_lived, attempts) = {
        let keys = history.keys();
        (keys[number].key, keys[number].short_lived, keys[number].attempts.clone())
    };
    if short_lived {
        return Ok(());
    }
    resend(store, history, number, &attempts).await?;
    let winner = finish(store, history, number, clock, verdict).await?;
    let held_before = attempts.iter().filter_map(|attempt| attempt.lease.as_ref());
    for lease in held_before.filter(|lease| lease.token() != winner.token) {
        let late = Outcome::Value(Bytes::from_static(b"late"));
        if store.complete(lease, late, lease.retention()).await? == Effect::Applied {
            verdict.twice.push(format!("{key:?}: {lease:?} completed it after {winner:?}"));
        }
    }
    match store.get(&key).await? {
        Some(record) if record.outcome() == Some(&winner.outcome) && record.token == winner.token => {}
        other => verdict.wrong.push(format!("{key:?}: {winner:?}, and then {other:?}")),
    }
    let keys = history.keys();
    verdict
        .wrong
        .extend(keys[number].contradictions.iter().map(|contradiction| format!("{key:?}: {contradiction}")));
    Ok(())
}

/// Sends every completion again whose effect is unknown.
async fn resend(store: &RedbStore, history: &History, number: usize, attempts: &[Attempt]) -> Result<()> {
    for attempt in attempts {
        let (Some(lease), Some(Sent { what, acknowledged: false })) = (&attempt.lease, &attempt.completion)
        else {
            continue;
        };
        let Completing { value, with_row } = what.clone();
        let effect = if with_row {
            complete_with_row(store, lease, Outcome::Value(value)).await?
        } else {
            store.complete(lease, Outcome::Value(value), lease.retention()).await?
        };
        let keys = &mut history.keys()[number];
        let same = |other: &&mut Attempt| other.token() == Some(lease.token());
        if let Some(attempt) = keys.attempts.iter_mut().find(same) {
            match &mut attempt.completion {
                Some(sent) if effect == Effect::Applied => sent.acknowledged = true,
                _ => attempt.completion = None,
            }
        }
    }
    Ok(())
}

/// Locks the key, and completes it where it is free, until it replays its completion.
async fn finish(
    store: &RedbStore,
    history: &History,
    number: usize,
    clock: &ManualClock,
    verdict: &mut Verdict,
) -> Result<Replay> {
    let key = history.keys()[number].key;
    for _ in 0..5 {
        let owner = Owner::random()?;
        let claim = Claim { owner, lease: LEASE, retention: Duration::from_hours(24) };
        match store.lock(&key, &fingerprint(), &claim).await? {
            LockAnswer::Completed(replay) => {
                history.replayed(number, &replay);
                let acknowledged =
                    |attempt: &&Attempt| attempt.completion.as_ref().is_some_and(|sent| sent.acknowledged);
                let told = history.keys()[number].attempts.iter().filter(acknowledged).count();
                if told != 1 {
                    verdict.twice.push(format!("{key:?}: {told} completions were acknowledged"));
                }
                return Ok(replay);
            }
            LockAnswer::InProgress { remaining } => clock.advance(remaining),
            LockAnswer::FingerprintMismatch => {
                verdict.wrong.push(format!("{key:?}: it was never asked for anything else"));
            }
            LockAnswer::Acquired(lease) => {
                if let Some(told) = history.keys()[number].acknowledged() {
                    verdict.lost.push(format!("{key:?}: completed by {:?}, and may run again", told.lease));
                }
                let place = history.locking(number, owner);
                let value = Bytes::from(format!("finished {:?}", lease.token()));
                let completing = Completing { value: value.clone(), with_row: false };
                history.change(place, |attempt| {
                    attempt.lease = Some(lease.clone());
                    attempt.completion = Some(Sent { what: completing, acknowledged: false });
                });
                let effect = store.complete(&lease, Outcome::Value(value), lease.retention()).await?;
                if effect != Effect::Applied {
                    verdict.wrong.push(format!("{key:?}: {lease:?} was just granted, and {effect:?}"));
                }
            }
        }
    }
    Err(Error::new(ErrorKind::Corrupt, Operation::Lock, "the key does not come to an end"))
}

/// Checks that the application's rows in a closed file agree with the completions: both are there, or neither.
pub(crate) fn rows(disk: &Disk, history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    let booked = match read_rows(disk) {
        Ok(booked) => booked,
        Err(error) => {
            verdict.unreadable.push(error.to_string());
            return verdict;
        }
    };
    for key in history.keys().iter() {
        let rows = booked.get(&key.key).copied().unwrap_or(0);
        let completions = key.attempts.iter().filter_map(|attempt| attempt.completion.as_ref());
        let completed = completions.filter(|sent| sent.what.with_row && sent.acknowledged).count() as u64;
        let shown = format!("{:?}: {rows} rows, completed with a row {completed} times", key.key);
        if rows < completed {
            verdict.lost.push(shown);
        } else if rows > completed && !key.short_lived {
            verdict.twice.push(shown);
        }
    }
    verdict
}

fn read_rows(disk: &Disk) -> std::result::Result<HashMap<Key, u64>, Box<dyn std::error::Error>> {
    let database = Database::builder().create_with_backend(disk.open()?)?;
    let mut booked = HashMap::new();
    let table = match database.begin_read()?.open_table(BOOKED) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(booked),
        table => table?,
    };
    for row in table.iter()? {
        let (key, count) = row?;
        booked.insert(Key::from_storage_key(*key.value()), count.value());
    }
    Ok(booked)
}
