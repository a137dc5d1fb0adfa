//! What a whole `execute` costs in processor time: key, fingerprint, owner, outcome, every allocation.
//!
//! The other rows leave out what a caller prepares before a call. Here all of it counts, on both sides, as processor time
//! of the whole process, which a busy machine disturbs less than a rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use idem_core::{Execution, Fingerprint, Key, Outcome, Policy, Scope, Store, StoreExt};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use tokio::task::{JoinSet, yield_now};

use crate::load::plan::Plan;
use crate::load::workload::{LEASE, RETENTION};
use crate::machine::now;
use crate::result::Result;
use crate::run::drive::{self, after};
use crate::run::figure::Figure;
use crate::run::session::Session;

const CALLERS: u64 = 64;
const BYTES: usize = 1_024;
/// Keys that replays ask for.
const KEPT: u64 = 10_000;
const STEPS_BEFORE_YIELDING: u64 = drive::STEPS_BEFORE_YIELDING as u64;
/// The most fresh keys of one round: some 4 GiB of memory.
const MOST_FRESH: u64 = 3_000_000;

/// One side: an application's request, from its text to its answer.
pub trait Whole: Send + Sync + 'static {
    /// Makes the request of this number, whose work runs if it has not run before. Returns whether it ran.
    fn request(&self, number: u64) -> impl Future<Output = Result<bool>> + Send;
}

/// The outcome of the work of every request.
#[must_use]
pub fn outcome_of_work() -> Bytes {
    Bytes::from(vec![0xA5; BYTES])
}

/// `execute` on a store.
#[derive(Debug)]
pub struct Executing(Arc<dyn Store>);

impl Executing {
    /// Executes on this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }
}

impl Whole for Executing {
    async fn request(&self, number: u64) -> Result<bool> {
        let key = Key::new(&Scope::new("account 7")?, format!("order {number}"))?;
        let request =
            Fingerprint::builder("orders v1").part("POST").part("/orders").part(number.to_le_bytes());
        let policy = Policy::new(LEASE, RETENTION);
        let work = |_lease| async { Ok::<_, std::io::Error>(Outcome::Value(outcome_of_work())) };
        match self.0.execute_outcome(&key, &request.finish(), &policy, work).await? {
            Execution::Executed(Outcome::Value(bytes)) if bytes.len() == BYTES => Ok(true),
            Execution::Replayed(Outcome::Value(bytes)) if bytes.len() == BYTES => Ok(false),
            other => Err(format!("a request ended with {other:?}").into()),
        }
    }
}

/// A row of `<name>.json`.
#[derive(Debug, Clone, Serialize)]
struct Row {
    workload: &'static str,
    callers: u64,
    bytes: usize,
    milliseconds: u128,
    cpu_us: f64,
    ops_per_s: f64,
    raw_cpu_us: f64,
    raw_ops_per_s: f64,
}

/// Measures both sides in turn, fresh each time, for a short and for a long time. Prints the rows and writes them to
/// `<name>.json`.
pub async fn whole<I: Whole, R: Whole>(
    session: &Session,
    name: &str,
    idem: impl Fn() -> Result<I>,
    raw: impl Fn() -> Result<R>,
) -> Result<Vec<Figure>> {
    let (mut rows, mut figures) = (Vec::new(), Vec::new());
    println!("\n{name}: {CALLERS} callers, {BYTES} bytes, processor time of a call, and calls a second");
    for (workload, kept) in [("fresh", 0), ("replay", KEPT)] {
        for (span, rounds) in spans(&session.plan) {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                ours.push(round(Arc::new(idem()?), kept, span).await?);
                theirs.push(round(Arc::new(raw()?), kept, span).await?);
            }
            let (ours, theirs) = (median(ours), median(theirs));
            println!(
                "  {workload:<8}{:>6} ms{:>10.2} us{:>12.0}/s   bare{:>8.2} us{:>12.0}/s",
                span.as_millis(),
                ours.cpu_us,
                ours.ops_per_s,
                theirs.cpu_us,
                theirs.ops_per_s
            );
            let what = format!("processor time of a {workload} execute, {} ms", span.as_millis());
            figures.push(Figure::reported(what, Some(ours.cpu_us), "us"));
            figures.push(Figure::reported(
                "  the same by hand on the bare backend",
                Some(theirs.cpu_us),
                "us",
            ));
            rows.push(Row {
                workload,
                callers: CALLERS,
                bytes: BYTES,
                milliseconds: span.as_millis(),
                cpu_us: ours.cpu_us,
                ops_per_s: ours.ops_per_s,
                raw_cpu_us: theirs.cpu_us,
                raw_ops_per_s: theirs.ops_per_s,
            });
        }
    }
    session.publish(name, &rows)?;
    Ok(figures)
}

/// How long a round is, and how many there are: short ones while memory is small, and a long one while it grows.
fn spans(plan: &Plan) -> [(Duration, usize); 2] {
    [(plan.round, plan.rounds), (plan.round * 50, 1)]
}

#[derive(Debug, Clone, Copy)]
struct Measured {
    cpu_us: f64,
    ops_per_s: f64,
}

async fn round<W: Whole>(side: Arc<W>, kept: u64, span: Duration) -> Result<Measured> {
    round_of(side, kept, MOST_FRESH, span).await
}

async fn round_of<W: Whole>(side: Arc<W>, kept: u64, most_fresh: u64, span: Duration) -> Result<Measured> {
    for number in 0..kept {
        side.request(number).await?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let fresh = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    let (began, used) = (now(), processor_time());
    for caller in 0..CALLERS {
        let fresh = Fresh { made: Arc::clone(&fresh), most: most_fresh };
        callers.spawn(requests(Arc::clone(&side), caller, kept, fresh, Arc::clone(&stop)));
    }
    // In a task of its own: callers that reach the limit of fresh keys end before the span does.
    let stopping = tokio::spawn(async move {
        let over = after(span).await;
        stop.store(true, Ordering::Relaxed);
        over
    });
    let calls = callers.join_all().await.into_iter().sum::<Result<u64>>()?;
    let (used, took) = (processor_time().saturating_sub(used), began.elapsed());
    stopping.await??;
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 calls")]
    let calls = calls.max(1) as f64;
    Ok(Measured { cpu_us: used.as_secs_f64() * 1e6 / calls, ops_per_s: calls / took.as_secs_f64().max(1e-9) })
}

/// The fresh keys of a round.
struct Fresh {
    made: Arc<AtomicU64>,
    most: u64,
}

/// Makes requests until `stop`. Returns how many it made.
async fn requests<W: Whole>(
    side: Arc<W>,
    caller: u64,
    kept: u64,
    fresh: Fresh,
    stop: Arc<AtomicBool>,
) -> Result<u64> {
    let (mut calls, mut random) = (0, caller);
    while !stop.load(Ordering::Relaxed) {
        let number = if kept > 0 {
            // Knuth's MMIX generator.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % kept
        } else {
            calls * CALLERS + caller
        };
        if side.request(number).await? == (kept > 0) {
            return Err("a fresh key was not executed, or a known one not replayed".into());
        }
        calls += 1;
        if calls % STEPS_BEFORE_YIELDING == 0 {
            if kept == 0 && fresh.made.fetch_add(STEPS_BEFORE_YIELDING, Ordering::Relaxed) > fresh.most {
                break;
            }
            yield_now().await;
        }
    }
    Ok(calls)
}

/// The processor time of all threads of this process, in user and in system code.
fn processor_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    Duration::from_secs(part(used.tv_sec)) + Duration::from_nanos(part(used.tv_nsec))
}

fn median(mut rounds: Vec<Measured>) -> Measured {
    rounds.sort_by(|one, other| one.cpu_us.total_cmp(&other.cpu_us));
    rounds.get(rounds.len() / 2).copied().unwrap_or(Measured { cpu_us: 0.0, ops_per_s: 0.0 })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// Executes every request at once.
    struct Instantly(AtomicU64);

    impl Whole for Instantly {
        async fn request(&self, _: u64) -> Result<bool> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(true)
        }
    }

    /// Callers that stop at the most keys that a round may make are done before its span is over.
    #[tokio::test]
    async fn rate_counts_the_time_in_which_calls_were_made() {
        let span = Duration::from_secs(2);
        let side = Arc::new(Instantly(AtomicU64::new(0)));
        let measured = round_of(Arc::clone(&side), 0, 10_000, span).await.unwrap();
        let calls = Duration::from_secs(side.0.load(Ordering::Relaxed)).as_secs_f64();
        assert!(calls / measured.ops_per_s < span.as_secs_f64(), "{calls} calls, {measured:?}");
    }
}
