//! What a sweep costs callers that lock at the same time.

use std::sync::Arc;
use std::time::Duration;

use idem_core::Store;
use idem_core::clock::ManualClock;

use crate::load::caller::Payload;
use crate::load::fill::{fill, keys};
use crate::load::plan::Plan;
use crate::load::workload::Workload;
use crate::machine::now;
use crate::result::Result;
use crate::run::drive::{Load, after, round};
use crate::run::figure::{Bar, Figure};
use crate::run::row::median;
use crate::run::side::StoreSide;

const CALLERS: usize = 64;
const OUTCOME: usize = 1_024;
/// The retention of the records that are swept: far less than that of the records that are locked meanwhile.
const SHORT: Duration = Duration::from_mins(1);

/// Lets records expire all at once and compares `lock` while they are swept with `lock` before, on one store.
///
/// `store` runs by `clock`. Each call of `expire` gets `budget`, with `pause` between two calls. With a large budget and no
/// pause the calls are the sweep; with a budget of zero they only watch the store's own sweeper.
pub async fn sweep(
    store: Arc<dyn Store>,
    clock: &ManualClock,
    budget: usize,
    pause: Duration,
    plan: &Plan,
) -> Result<Vec<Figure>> {
    let side = Arc::new(StoreSide::new(Arc::clone(&store), keys(0)));
    let payloads = Arc::from([Arc::new(Payload::new(OUTCOME)?)]);
    let load = Load { workload: Workload::Lock, callers: CALLERS, payloads, sample: 1 };
    let (mut quiet, mut swept, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.sweeps {
        fill(&store, &keys(plan.sweep_records), OUTCOME, SHORT).await?;
        quiet.push(round(&side, &load, after(plan.quiet)).await?);
        clock.advance(SHORT);
        let began = now();
        swept.push(round(&side, &load, until_swept(&*store, budget, pause)).await?);
        seconds.push(began.elapsed().as_secs_f64());
    }
    let (before, during) = (median(&quiet, |r| r.p99_us), median(&swept, |r| r.p99_us));
    let rate = median(&quiet, |r| r.ops_per_s);
    let seconds = median(&seconds, |seconds| *seconds);
    Ok(vec![
        Figure::held(
            format!("p99 of lock, {CALLERS} callers, while {} expired are swept", plan.sweep_records),
            Some(during / before),
            "x",
            Bar::AtMost(2.0),
        ),
        Figure::reported("  that p99", Some(during), "us"),
        Figure::reported("  p99 of lock without the sweep", Some(before), "us"),
        Figure::reported("  locks a second without the sweep", Some(rate), "/s"),
        Figure::reported("  locks a second during it", Some(median(&swept, |r| r.ops_per_s)), "/s"),
        Figure::reported("  how long the sweep took", Some(seconds), "s"),
    ])
}

async fn until_swept(store: &dyn Store, budget: usize, pause: Duration) -> Result<()> {
    while store.expire(budget).await?.more {
        tokio::time::sleep(pause).await;
    }
    Ok(())
}
