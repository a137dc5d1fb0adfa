//! What callers of other keys notice of a transaction of the application that stays open and has completed or locked a key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use idem_benches::{Bar, Figure, Fresh, RETENTION, Result, Session, median};
use idem_core::{Claim, Effect, Key, LockAnswer, Outcome, Store as _};
use idem_postgres::PostgresStore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::{KIB, Postgres, claim, fingerprint};
use crate::bare::Pool;

/// Callers of other keys, and callers who wait for the transaction's.
const CALLERS: usize = 64;
const WAITING: usize = 8;

/// What the transaction has done, which stays open for a whole round.
#[derive(Debug, Clone, Copy)]
enum How {
    Nothing,
    /// `complete_in`, of a key whose lease ends meanwhile.
    Completed,
    /// `lock_in`, of a fresh key.
    Locked,
}

const ALL: [How; 3] = [How::Nothing, How::Completed, How::Locked];

pub(crate) async fn measure(postgres: &Postgres, session: &Session) -> Result<Vec<Figure>> {
    let store = postgres.open().await?;
    let Pool::Deadpool(pool) = Pool::deadpool(&postgres.node)? else { return Err("another pool".into()) };
    let mut percentiles: [Vec<f64>; ALL.len()] = Default::default();
    for turn in 0..=session.plan.rounds {
        for (how, percentiles) in ALL.into_iter().zip(&mut percentiles) {
            let percentile = round(&store, &pool, how, session.plan.round).await?;
            if turn > 0 {
                percentiles.push(percentile.as_secs_f64() * 1e3);
            }
        }
    }
    let [nothing, completed, locked] = percentiles.map(|rounds| median(&rounds, |percentile| *percentile));
    println!("\np99 of a cycle, {CALLERS} callers: {nothing:.1} ms");
    println!("  beside an open transaction: {completed:.1} ms (complete_in), {locked:.1} ms (lock_in)");
    let what =
        |how: &str| format!("p99 of other keys beside an open transaction with {how}, against without");
    Ok(vec![
        Figure::held(what("complete_in"), Some(completed / nothing), "x", Bar::AtMost(3.0)),
        Figure::held(what("lock_in"), Some(locked / nothing), "x", Bar::AtMost(3.0)),
    ])
}

/// The p99 of cycles of fresh keys.
async fn round(
    store: &PostgresStore,
    pool: &deadpool_postgres::Pool,
    how: How,
    time: Duration,
) -> Result<Duration> {
    let key = Fresh::new().key();
    let mut connection = pool.get().await?;
    let mut transaction = connection.transaction().await?;
    match how {
        How::Nothing => {}
        How::Completed => {
            let brief = Claim { lease: Duration::from_millis(20), ..claim()? };
            let LockAnswer::Acquired(lease) = store.lock(&key, &fingerprint(), &brief).await? else {
                return Err("a fresh key is not acquired".into());
            };
            drop(store.complete_in(&mut transaction, &lease, outcome()).await?);
            sleep(brief.lease).await;
        }
        How::Locked => {
            drop(store.lock_in(&mut transaction, &key, &fingerprint(), &claim()?).await?);
        }
    }
    let over = Arc::new(AtomicBool::new(false));
    let mut waiting = JoinSet::new();
    for _ in 0..if matches!(how, How::Nothing) { 0 } else { WAITING } {
        let (store, over) = (store.clone(), Arc::clone(&over));
        waiting.spawn(async move { ask(&store, &key, &over).await });
    }
    let mut cycling = JoinSet::new();
    let end = Instant::now() + time;
    for _ in 0..CALLERS {
        let store = store.clone();
        cycling.spawn(async move { cycle(&store, end).await });
    }
    let mut times: Vec<Duration> = Vec::new();
    for of_one in cycling.join_all().await {
        times.append(&mut of_one?);
    }
    sleep_until(end).await;
    over.store(true, Ordering::Release);
    transaction.rollback().await?;
    waiting.join_all().await.into_iter().collect::<Result<()>>()?;
    times.sort_unstable();
    times.get(times.len() * 99 / 100).copied().ok_or_else(|| "no cycle".into())
}

/// Wants to lock the transaction's key, until the round is over. How it is answered is tested elsewhere.
async fn ask(store: &PostgresStore, key: &Key, over: &AtomicBool) -> Result<()> {
    while !over.load(Ordering::Acquire) {
        let _ = store.lock(key, &fingerprint(), &claim()?).await;
    }
    Ok(())
}

/// How long the cycles of one caller took.
async fn cycle(store: &PostgresStore, end: Instant) -> Result<Vec<Duration>> {
    let (mut fresh, mut times) = (Fresh::new(), Vec::new());
    while Instant::now() < end {
        let begun = Instant::now();
        let locked = store.lock(&fresh.key(), &fingerprint(), &claim()?).await?;
        let LockAnswer::Acquired(lease) = locked else {
            return Err(format!("a fresh key answered {locked:?}").into());
        };
        if store.complete(&lease, outcome(), RETENTION).await? != Effect::Applied {
            return Err("a fresh lease is lost".into());
        }
        times.push(begun.elapsed());
    }
    Ok(times)
}

fn outcome() -> Outcome {
    Outcome::Value(vec![0xA5; KIB].into())
}
