//! The primary loses its standby, and whoever manages the two lets its commits wait for nobody
//! (`synchronous_standby_names = ''`), as Patroni does. Once the standby comes back and is waited for again; then the
//! primary is killed meanwhile, and the standby promoted.

use idem_servers::postgres::ServerKind;

use super::{load, options, rules};
use crate::callers::load::Load;
use crate::environment::postgres::replicated::{Replicated, set_standby_names};
use crate::environment::postgres::store::turn;
use crate::judge::history::now;
use crate::judge::rules::Report;
use crate::judge::within::within;
use crate::rng::Rng;
use crate::table::judged;

pub(crate) async fn round(kind: ServerKind, seed: u64) -> Report {
    let servers = Replicated::start(options(kind)).await;
    let mut load = load([(servers.addresses(), 1); 2], "emptied", seed).await;
    let mut rng = Rng::new(seed);
    load.run(400 + rng.below(300)).await;
    let first = empty_names(&servers, &load, &mut rng).await;
    servers.mend();
    if rng.percent(50) {
        servers.pair.wait_ok().await;
    }
    set_standby_names(servers.pair.primary(), "standby").await;
    load.answered().await;
    let second = empty_names(&servers, &load, &mut rng).await;
    assert!(first.0 + second.0 > 0, "no commit was let go");
    assert!(first.1 + second.1 > 0, "the standby lacks nothing");
    servers.pair.primary().kill();
    servers.pair.promote().await;
    let _follower = servers.pair.follower().await;
    load.answered().await;
    load.run(300).await;
    load.judged_by(&rules()).await
}

/// How many commits were let go, and how many locks and completions the standby lacks then.
async fn empty_names(servers: &Replicated, load: &Load, rng: &mut Rng) -> (i64, i64) {
    servers.cut();
    let begin = now();
    load.run(200 + rng.below(900)).await;
    let let_go = servers.commits_that_wait().await;
    set_standby_names(servers.pair.primary(), "").await;
    load.run(300 + rng.below(700)).await;
    let (lacking, meanwhile) =
        (servers.lacking().await, within(&load.history().copied(), &(0..u32::MAX), begin, now()));
    println!(
        "{let_go} commits were let go, the standby lacks {lacking} locks and completions: {meanwhile:?}"
    );
    assert_eq!(meanwhile.acknowledged, 0, "the standby does not have what was acknowledged");
    (let_go, lacking)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_names_of_standbys_are_emptied() {
    judged("names emptied", &round(turn(1), 1).await);
}
