//! The primary loses its synchronous standby for a while, and clients reach it all the time.

use idem_servers::postgres::ServerKind;

use super::{load, options, rules};
use crate::callers::load::LONGER_THAN_A_CALL;
use crate::environment::postgres::replicated::Replicated;
use crate::environment::postgres::store::turn;
use crate::judge::history::now;
use crate::judge::rules::Report;
use crate::judge::within::within;
use crate::rng::Rng;
use crate::table::judged;

pub(crate) async fn round(kind: ServerKind, seed: u64) -> Report {
    let servers = Replicated::start(options(kind)).await;
    let mut load = load([(servers.addresses(), 1); 2], "standby lost", seed).await;
    let mut rng = Rng::new(seed);
    load.run(500 + rng.below(300)).await;
    servers.cut();
    let begin = now();
    load.run(LONGER_THAN_A_CALL + rng.below(500)).await;
    let meanwhile = within(&load.history().copied(), &(0..u32::MAX), begin, now());
    servers.mend();
    assert_eq!(meanwhile.acknowledged, 0, "the standby does not have what was acknowledged");
    assert!(meanwhile.unknown > 0, "no call has waited for the standby");
    load.answered().await;
    load.run(300).await;
    let report = load.judged_by(&rules()).await;
    assert!(report.is_outlasted(), "no call has waited for as long as it may");
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_while_the_standby_is_cut_off() {
    judged("standby cut off", &round(turn(1), 1).await);
}
