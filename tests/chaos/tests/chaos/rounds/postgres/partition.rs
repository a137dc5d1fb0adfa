//! One of two processes loses its server: what it sends, or what it is answered, is lost or comes late. The other process
//! goes on, and takes over its keys.

use idem_servers::postgres::Server;

use super::{load, rules};
use crate::environment::postgres::relay::{Link, Relay};
use crate::environment::postgres::store::{options, turn};
use crate::judge::rules::Report;
use crate::rng::Rng;
use crate::table::judged;

pub(crate) async fn round(server: &Server, seed: u64) -> Report {
    let relay = Relay::to(server.addr()).await;
    let mut load = load([relay.addr(), server.addr()], "partition", seed).await;
    let mut rng = Rng::new(seed);
    let mut faults = [Link::Cut, Link::WithoutAnswers, Link::Late];
    faults.rotate_left(usize::try_from(rng.below(3)).unwrap());
    for fault in faults {
        load.run(400 + rng.below(300)).await;
        let before = relay.held();
        relay.set(fault);
        // Mostly longer than a connection is waited for, and sometimes longer than a call may take.
        load.run(600 + rng.below(2_400)).await;
        relay.set(Link::Whole);
        assert!(relay.held() > before, "{fault:?}: nothing was lost or late");
        load.answered().await;
    }
    load.run(400).await;
    load.judged_by(&rules()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_with_a_process_that_is_cut_off_from_its_server() {
    let server = options(turn(0)).start().await;
    judged("partition", &round(&server, 1).await);
}
