//! The primary is killed while its asynchronous standby lacks what was acknowledged, and the standby is promoted. Shows
//! that rounds with a promotion can fail.

use idem_servers::postgres::ServerKind;

use super::{load, options, rules};
use crate::environment::postgres::replicated::Replicated;
use crate::environment::postgres::store::turn;
use crate::judge::rules::Report;
use crate::rng::Rng;
use crate::table::losses;

pub(crate) async fn round(kind: ServerKind, seed: u64) -> Report {
    let servers = Replicated::start(options(kind).asynchronous()).await;
    let mut load = load([(servers.addresses(), 0); 2], "lagging", seed).await;
    let mut rng = Rng::new(seed);
    load.run(400 + rng.below(300)).await;
    servers.cut();
    load.run(300 + rng.below(300)).await;
    let lacking = servers.lacking().await;
    println!("{lacking} locks and completions were not replicated");
    assert!(lacking > 0, "the standby does not lag");
    servers.pair.primary().kill();
    servers.pair.promote().await;
    load.answered().await;
    load.run(300).await;
    load.judged_by(&rules()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_asynchronous_standby_lacks_is_lost_with_its_primary() {
    losses("promotion, asynchronous", async |seed| round(turn(1), seed).await).await;
}
