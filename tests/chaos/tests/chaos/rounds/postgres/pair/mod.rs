//! The kinds of rounds on a primary with a standby, a file each. Each starts a pair of its own, since it leaves none behind.

pub(crate) mod emptied;
pub(crate) mod lagging;
pub(crate) mod promote;
pub(crate) mod split_brain;
pub(crate) mod standby_lost;

use std::net::SocketAddr;

use idem_servers::postgres::{Pair, PairOptions, ServerKind};

use super::rules;
use crate::callers::load::Load;
use crate::callers::worker::Round;
use crate::environment::postgres::store::open_on;

/// A store for each of `stores`, which are the servers that it knows and its `acks`, and their workers.
async fn load(stores: [([SocketAddr; 2], u8); 2], label: &str, seed: u64) -> Load {
    let mut opened = Vec::new();
    for (servers, acks) in stores {
        opened.push(open_on(&servers, acks).await);
    }
    Load::begin(opened, &format!("{label} {seed}"), seed, Round::new())
}

fn options(kind: ServerKind) -> PairOptions {
    println!("on {kind}");
    Pair::options().kind(kind)
}
