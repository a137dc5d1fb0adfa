//! The server's clock is set forward and back. Forward, leases and outcomes end that much earlier; back, store time stands
//! still until the clock has caught up. One completion, the same answer and the order of the fence hold all the same.

use idem_servers::postgres::{Server, ServerKind};

use super::{load, rules};
use crate::environment::postgres::store::{options, turn};
use crate::environment::postgres::wall_clock::WallClock;
use crate::judge::history::now;
use crate::judge::rules::{Report, Rules, Step};
use crate::rng::Rng;
use crate::table::judged;

/// In seconds, one after the other. All together and each for itself they stay far below the retention of most keys.
const STEPS: [i64; 6] = [3, -2, 20, -25, 9, 40];
const MICROS: u64 = 1_000_000;

/// A server whose clock can be set.
#[derive(Debug)]
pub(crate) struct Timed {
    server: Server,
    clock: WallClock,
}

impl Timed {
    pub(crate) async fn start(kind: ServerKind) -> Self {
        let clock = WallClock::new();
        Self { server: options(kind).prefix(clock.prefix()).start().await, clock }
    }

    /// Sets the clock, and gives the step where it is one forward.
    async fn step(&mut self, seconds: i64) -> Option<Step> {
        let before = self.seconds().await;
        let from = now();
        self.clock.step(seconds);
        let until = now();
        let moved = self.seconds().await - before;
        assert!(
            (seconds - 1..seconds + 10).contains(&moved),
            "set by {seconds} s, the clock moved by {moved} s"
        );
        let by = u64::try_from(seconds).ok()? * MICROS;
        Some(Step { from, until, by })
    }

    async fn seconds(&self) -> i64 {
        self.server.sql("SELECT extract(epoch FROM clock_timestamp())::bigint").await.parse().unwrap()
    }
}

pub(crate) async fn round(timed: &mut Timed, seed: u64) -> Report {
    let mut load = load([timed.server.addr(); 2], "clock", seed).await;
    let mut rng = Rng::new(seed);
    let mut steps = Vec::new();
    for seconds in STEPS {
        load.run(500 + rng.below(700)).await;
        steps.extend(timed.step(seconds).await);
    }
    load.run(800).await;
    load.answered().await;
    load.judged_by(&Rules { steps, ..rules() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_completed_once_while_the_servers_clock_is_set_forward_and_back() {
    let mut timed = Timed::start(turn(1)).await;
    let report = round(&mut timed, 1).await;
    judged("clock", &report);
}

/// Shows that the round can fail: without the steps, leases that ended early are second holders.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_of_the_servers_clock_ends_leases_early() {
    let mut timed = Timed::start(turn(0)).await;
    let load = load([timed.server.addr(); 2], "early", 1).await;
    for _ in 0..3 {
        load.run(700).await;
        assert!(timed.step(10).await.is_some());
    }
    load.run(500).await;
    let report = load.judged_by(&rules()).await;
    assert!(report.losses() > 0, "no lease ended early");
}
