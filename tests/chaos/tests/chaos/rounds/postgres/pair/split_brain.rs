//! The primary is cut off from its standby and from one of two processes. The standby is promoted, and the other process
//! still uses the old primary, which takes writes and knows nothing of this.

use idem_servers::postgres::ServerKind;

use super::{load, options, rules};
use crate::callers::load::LONGER_THAN_A_CALL;
use crate::environment::postgres::relay::{Link, Relay};
use crate::environment::postgres::replicated::{Replicated, end_connections};
use crate::environment::postgres::store::turn;
use crate::judge::history::now;
use crate::judge::rules::{Reads, Report, Rules};
use crate::judge::within::within;
use crate::rng::Rng;
use crate::table::{judged, losses};

/// With `acks` 0 the standby is asynchronous.
pub(crate) async fn round(kind: ServerKind, seed: u64, acks: u8) -> Report {
    let pair = if acks == 0 { options(kind).asynchronous() } else { options(kind) };
    let servers = Replicated::start(pair).await;
    let [old, new] = servers.addresses();
    let relay = Relay::to(old).await;
    let stores = [([relay.addr(), new], acks), ([old, new], acks)];
    let mut load = load(stores, &format!("split brain {acks}"), seed).await;
    let mut rng = Rng::new(seed);
    load.run(500 + rng.below(300)).await;
    servers.cut();
    relay.set(Link::Cut);
    let begin = now();
    load.run(rng.below(600)).await;
    servers.pair.promote().await;
    let _follower = if acks == 0 { None } else { Some(servers.pair.follower().await) };
    load.answered_by(1).await;
    load.run(LONGER_THAN_A_CALL).await;
    // The first process could use the old primary again, if it had to find its server.
    relay.set(Link::Whole);
    assert!(end_connections(servers.pair.standby()).await > 0, "nobody uses the new primary");
    load.answered_by(1).await;
    let (history, end) = (load.history().copied(), now());
    let (of_the_new, of_the_old) =
        (within(&history, &(0..100), begin, end), within(&history, &(100..200), begin, end));
    println!("meanwhile by the new primary {of_the_new:?}, by the old one {of_the_old:?}");
    assert!(of_the_new.acknowledged > 0, "nobody uses the new primary");
    if acks == 0 {
        assert!(of_the_old.acknowledged > 0, "nobody uses the old primary");
    } else {
        assert!(of_the_old.unknown > 0, "nobody uses the old primary");
        assert_eq!(
            of_the_old.acknowledged, 0,
            "the new primary does not have what was acknowledged by the old one"
        );
    }
    servers.pair.primary().kill();
    load.answered().await;
    load.run(300).await;
    // The old primary tells what it has.
    load.judged_by(&Rules { reads: Reads::MayBeStale, ..rules() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_by_a_primary_that_was_replaced_behind_its_back() {
    judged("split brain", &round(turn(0), 1, 1).await);
}

/// Shows that the round can fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_acks_a_split_brain_gives_second_holders() {
    losses("split brain, acks = 0", async |seed| round(turn(1), seed, 0).await).await;
}
