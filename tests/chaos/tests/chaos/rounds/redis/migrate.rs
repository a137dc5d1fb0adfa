//! Slots move to other masters, key by key, while their keys are in use: servers answer `ASK`, then `MOVED`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use idem_redis::Acks;
use idem_servers::redis::{Cluster, Topology, slot};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::load;
use crate::callers::load::Load;
use crate::environment::redis::cluster::{options, turn};
use crate::judge::rules::{Reads, Report};
use crate::rng::Rng;
use crate::table::judged;

/// Keys whose slots move at once.
const AT_ONCE: u32 = 40;
const WAVES: usize = 2;

pub(crate) async fn round(cluster: &Cluster, seed: u64, acks: Option<Acks>) -> Report {
    let mut load = load(cluster, "migrate", seed, acks).await;
    let mut rng = Rng::new(seed);
    load.run(500).await;
    for _ in 0..WAVES {
        wave(cluster.topology(), &load, &mut rng).await;
    }
    load.answered().await;
    cluster.wait_ok().await;
    load.finish(Reads::AreFresh).await
}

/// Moves the slots of the newest keys, and of the keys that come into use next.
async fn wave(topology: &Topology, load: &Load, rng: &mut Rng) {
    // Migrations finish one after another: two masters that claim slots at once could use the same epoch.
    let turn = Arc::new(Mutex::new(()));
    let newest = load.round.keys();
    let keys = (newest - AT_ONCE / 4..newest + AT_ONCE * 3 / 4).map(|key| load.redis_key(key));
    let mut moves = JoinSet::new();
    for key in one_for_each_slot(keys) {
        moves.spawn(move_slot(topology.clone(), key, Rng::new(rng.next()), Arc::clone(&turn)));
    }
    moves.join_all().await;
}

/// Two keys may share a slot, and a migrating slot cannot start another migration.
fn one_for_each_slot(keys: impl IntoIterator<Item = String>) -> impl Iterator<Item = String> {
    let mut seen = HashSet::new();
    keys.into_iter().filter(move |key| seen.insert(slot(key.as_bytes())))
}

async fn move_slot(topology: Topology, key: String, mut rng: Rng, turn: Arc<Mutex<()>>) {
    let slot = slot(key.as_bytes());
    let from = topology.master_of(slot).await;
    let mut others = topology.masters().await;
    others.retain(|other| *other != from);
    let to = others[usize::from(rng.percent(50))].clone();
    let migration = topology.begin_migration(slot, &to).await;
    sleep(Duration::from_millis(rng.below(200))).await;
    migration.move_key(key.as_bytes()).await;
    sleep(Duration::from_millis(rng.below(200))).await;
    let _turn = turn.lock().await;
    migration.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_slots_move() {
    let cluster = options(turn(1)).start().await;
    judged("slot migration", &round(&cluster, 1, None).await);
}

#[test]
fn a_slot_moves_once_in_a_wave() {
    let keys = ["{7}first", "{7}second", "{8}third"].map(String::from);
    assert_eq!(one_for_each_slot(keys).collect::<Vec<_>>(), ["{7}first", "{8}third"]);
}
