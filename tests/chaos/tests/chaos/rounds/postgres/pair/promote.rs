//! The primary is killed (SIGKILL), and its synchronous standby is promoted. Then the primary comes back as it was: it takes
//! writes, waits for nobody, and stands first in the stores' lists.

use idem_servers::postgres::{Pair, ServerKind};

use super::{load, options, rules};
use crate::environment::postgres::replicated::{end_connections, set_standby_names};
use crate::environment::postgres::store::turn;
use crate::judge::rules::Report;
use crate::rng::Rng;
use crate::table::judged;

/// How often the stores have to find their server while the former primary is there.
const SEARCHES: usize = 3;

/// One of the stores relies on its `acks`, the other on the server's settings.
pub(crate) async fn round(kind: ServerKind, seed: u64) -> Report {
    let pair = options(kind).start().await;
    let servers = [pair.primary().addr(), pair.standby().addr()];
    let mut load = load([(servers, 1), (servers, 0)], "promote", seed).await;
    let mut rng = Rng::new(seed);
    load.run(500 + rng.below(500)).await;
    pair.primary().kill();
    // Sometimes at once, sometimes after calls have failed.
    load.run(rng.below(1_500)).await;
    pair.promote().await;
    let _follower = pair.follower().await;
    load.answered().await;
    let written = former_primary_comes_back(&pair).await;
    let mut ended = 0;
    for _ in 0..SEARCHES {
        ended += end_connections(pair.standby()).await;
        load.answered().await;
    }
    load.run(300).await;
    println!("{ended} connections to the new primary were ended");
    assert!(ended > 0, "the stores did not have to find their server again");
    assert_eq!(last_written(&pair).await, written, "a store wrote to the former primary");
    load.judged_by(&rules()).await
}

/// Gives what was last written there.
async fn former_primary_comes_back(pair: &Pair) -> String {
    let former = pair.primary();
    former.restart().await;
    set_standby_names(former, "").await;
    former.sql("CREATE TABLE takes_writes ()").await;
    last_written(pair).await
}

/// The store's clock and fence on the former primary: whatever a store writes advances one of them.
async fn last_written(pair: &Pair) -> String {
    pair.primary().sql("SELECT clock.last_value, fence.last_value FROM idem.clock, idem.fence").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_a_standby_replaces_its_primary_which_comes_back() {
    judged("promotion", &round(turn(0), 1).await);
}
