//! One round: a number of callers in parallel, for a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::runtime::Handle;
use tokio::sync::Barrier;
use tokio::task::{JoinSet, yield_now};

use crate::load::backend::Place;
use crate::load::caller::Payload;
use crate::load::caller::{Caller, Mix, Storm};
use crate::load::workload::Workload;
use crate::machine::now;
use crate::result::Result;
use crate::run::side::Side;

/// Callers that never wait would otherwise keep the others from running at all.
pub(crate) const STEPS_BEFORE_YIELDING: usize = 32;

/// What the callers of a round do.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) workload: Workload,
    pub(crate) callers: usize,
    /// Given to the callers in turn: a few copies, so that no two cores share a reference count, but not one per caller.
    pub(crate) payloads: Arc<[Arc<Payload>]>,
    /// One step in this many is timed: reading the clock twice would slow down steps of 100 ns.
    pub(crate) sample: usize,
}

/// The result of a round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    pub(crate) steps: usize,
    pub(crate) ops_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) mix: Mix,
}

/// Lets all callers step until `until` is over. A step that is running then is finished and counted, and so is its
/// time.
pub(crate) async fn round<S: Side>(
    side: &Arc<S>,
    load: &Load,
    until: impl Future<Output = Result<()>>,
) -> Result<Round> {
    let stop = Arc::new(AtomicBool::new(false));
    let start = Arc::new(Barrier::new(load.callers + 1));
    let storm = Arc::new(Storm::default());
    let mut callers = JoinSet::new();
    for turn in 0..load.callers {
        let payload = Arc::clone(&load.payloads[turn % load.payloads.len()]);
        let caller = Caller::new(payload, Arc::clone(&storm));
        let stepping = steps(
            Arc::clone(side),
            load.workload,
            load.sample,
            caller,
            Arc::clone(&start),
            Arc::clone(&stop),
        );
        match side.place(load.workload) {
            Place::Tasks => callers.spawn(stepping),
            Place::Threads => {
                let runtime = Handle::current();
                callers.spawn_blocking(move || runtime.block_on(stepping))
            }
        };
    }
    start.wait().await;
    let ended = until.await;
    stop.store(true, Ordering::Relaxed);
    let tallies = callers.join_all().await.into_iter().collect::<Result<Vec<Tally>>>()?;
    ended?;
    summed(tallies)
}

/// Ends after `span`, by a thread of its own: busy callers would delay the runtime's timer.
pub(crate) async fn after(span: Duration) -> Result<()> {
    tokio::task::spawn_blocking(move || std::thread::sleep(span)).await?;
    Ok(())
}

struct Tally {
    steps: usize,
    latencies: Histogram<u64>,
    began: Instant,
    ended: Instant,
    mix: Mix,
}

async fn steps<S: Side>(
    side: Arc<S>,
    workload: Workload,
    sample: usize,
    mut caller: Caller,
    start: Arc<Barrier>,
    stop: Arc<AtomicBool>,
) -> Result<Tally> {
    let mut latencies = histogram()?;
    start.wait().await;
    let began = now();
    let mut steps = 0;
    while !stop.load(Ordering::Relaxed) {
        if steps % sample == 0 {
            let sent = now();
            side.step(workload, &mut caller).await?;
            latencies.saturating_record(nanoseconds(sent.elapsed()));
        } else {
            side.step(workload, &mut caller).await?;
        }
        steps += 1;
        if steps % STEPS_BEFORE_YIELDING == 0 {
            yield_now().await;
        }
    }
    Ok(Tally { steps, latencies, began, ended: now(), mix: caller.mix })
}

fn summed(tallies: Vec<Tally>) -> Result<Round> {
    let began = tallies.iter().map(|tally| tally.began).min().ok_or("no caller")?;
    let ended = tallies.iter().map(|tally| tally.ended).max().ok_or("no caller")?;
    let (mut steps, mut latencies, mut mix) = (0, histogram()?, Mix::default());
    for tally in tallies {
        steps += tally.steps;
        latencies.add(&tally.latencies)?;
        mix.add(tally.mix);
    }
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 steps and nanoseconds")]
    let (rate, us_at) = (steps as f64 / (ended - began).as_secs_f64().max(1e-9), |quantile| {
        latencies.value_at_quantile(quantile) as f64 / 1_000.0
    });
    Ok(Round { steps, ops_per_s: rate, p50_us: us_at(0.5), p99_us: us_at(0.99), mix })
}

/// 1 ns to a minute, to 1 %.
fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 2)?)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::HashSet;
    use std::sync::Mutex;

    use idem_core::Owner;
    use tokio::sync::Notify;
    use tokio::time::timeout;

    use super::*;

    const CALLERS: usize = 16;

    /// Steps that never wait, and remember who took them.
    struct Eager {
        place: Place,
        seen: Mutex<HashSet<[u8; 8]>>,
        all_seen: Notify,
        fails: bool,
    }

    impl Eager {
        fn side(place: Place, fails: bool) -> Arc<Self> {
            Arc::new(Self { place, seen: Mutex::default(), all_seen: Notify::new(), fails })
        }
    }

    impl Side for Eager {
        async fn step(&self, _workload: Workload, caller: &mut Caller) -> Result<()> {
            let owner: Owner = caller.claim().owner;
            let mut seen = self.seen.lock().unwrap();
            seen.insert(owner.as_bytes()[..8].try_into().unwrap());
            if seen.len() == CALLERS {
                self.all_seen.notify_one();
            }
            if self.fails { Err("out of order".into()) } else { Ok(()) }
        }

        fn place(&self, _workload: Workload) -> Place {
            self.place
        }
    }

    fn load() -> Load {
        let payloads = Arc::from([Arc::new(Payload::new(1).unwrap())]);
        Load { workload: Workload::Replay, callers: CALLERS, payloads, sample: 1 }
    }

    async fn round_until_all_seen(side: &Arc<Eager>) -> Result<Round> {
        let all = timeout(Duration::from_mins(1), side.all_seen.notified());
        round(side, &load(), async { Ok(all.await?) }).await
    }

    async fn all_take_part(place: Place) {
        let measured = round_until_all_seen(&Eager::side(place, false)).await.unwrap();
        assert!(measured.ops_per_s > 0.0);
        assert!(measured.p50_us <= measured.p99_us);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn tasks_that_never_wait_all_take_part() {
        all_take_part(Place::Tasks).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn callers_on_threads_all_take_part() {
        all_take_part(Place::Threads).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn failing_step_fails_the_round() {
        let error = round_until_all_seen(&Eager::side(Place::Tasks, true)).await.unwrap_err();
        assert_eq!(error.to_string(), "out of order");
    }
}
