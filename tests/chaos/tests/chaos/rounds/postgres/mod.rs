//! The kinds of rounds on PostgreSQL: on one server, a file each, and in `pair` on a primary with a standby.
//!
//! Each round proves by counts that its fault has happened: by itself, a history without violations would also be that of
//! a server to which nothing was done.

pub(crate) mod clock;
pub(crate) mod connections;
pub(crate) mod crowded;
pub(crate) mod freeze;
pub(crate) mod full_disk;
pub(crate) mod kill;
pub(crate) mod maintenance;
pub(crate) mod pair;
pub(crate) mod partition;
pub(crate) mod paused;
pub(crate) mod row_locks;
pub(crate) mod snapshot;

use std::net::SocketAddr;

use crate::callers::load::Load;
use crate::callers::worker::Round;
use crate::environment::postgres::store::open;
use crate::judge::rules::{Reads, Rules};

/// A store at each of `addresses`, as processes of their own would have them, and their workers.
async fn load(addresses: [SocketAddr; 2], label: &str, seed: u64) -> Load {
    load_of(addresses, label, seed, Round::new()).await
}

async fn load_of(addresses: [SocketAddr; 2], label: &str, seed: u64, round: Round) -> Load {
    let [first, second] = addresses;
    let stores = vec![open(first).await, open(second).await];
    Load::begin(stores, &format!("{label} {seed}"), seed, round)
}

fn rules() -> Rules {
    Rules { strict_sequence: true, ..Rules::new(Reads::AreFresh) }
}
