//! Scans of clusters whose slots move, and of servers that are started again.

use std::collections::HashSet;
use std::ops::ControlFlow;

use idem_core::scan::{Cursor, Entry, Page, RecordState, Scan};
use idem_core::{Key, Store};
use idem_redis::{Acks, RedisStore};
use idem_servers::redis::{Cluster, Server, slot};

use crate::support::{acquire, cluster_config, completed, config, key, lone};

/// Lists pages from `after` on until there are no more, or `see` has seen enough.
async fn list(
    store: &RedisStore,
    mut after: Option<Cursor>,
    mut see: impl FnMut(&Page) -> ControlFlow<()>,
) -> Option<Cursor> {
    for _ in 0..10_000 {
        let page = store.scan(&Scan::all().with_limit(1), after.as_ref()).await.unwrap();
        let goes_on = see(&page);
        after = page.next;
        if after.is_none() || goes_on.is_break() {
            return after;
        }
    }
    panic!("the scan does not end");
}

fn keep(listed: &mut HashSet<Key>, page: &Page) {
    listed.extend(page.entries.iter().map(|entry| entry.key));
}

/// The first slot of all moves to the last master, which then comes first in the order in which masters are scanned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_move_hide_no_master_from_a_scan() {
    let cluster = Cluster::options().masters(3).replicas(0).start().await;
    let mut config = cluster_config(&cluster);
    config.acks = Some(Acks::Count(0));
    let store = RedisStore::open(config).await.unwrap();
    let keys: Vec<_> = (0..400).map(|number| format!("order-{number}")).collect();
    for name in &keys {
        completed(&store, name).await;
    }
    let slot_of = |key: &Key| slot(store.redis_key(key).as_bytes());
    let last = cluster.master_of(16_383).await;
    let mut listed = HashSet::new();
    let is_in_second = |page: &Page| page.entries.iter().any(|entry| slot_of(&entry.key) > 6_000);
    let after = list(&store, None, |page| {
        keep(&mut listed, page);
        if is_in_second(page) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .await;
    assert!(after.is_some() && listed.len() < keys.len());

    cluster.migrate_slot(0, &last).await;
    // A call for a key of that slot is redirected, which the store remembers.
    let mut probes = (0..1_000_000).map(|number| key(&format!("probe-{number}")));
    let moved = probes.find(|key| slot_of(key) == 0).unwrap();
    assert_eq!(store.get(&moved).await.unwrap(), None);

    list(&store, after, |page| {
        keep(&mut listed, page);
        ControlFlow::Continue(())
    })
    .await;
    let missed: Vec<_> = keys.iter().filter(|name| !listed.contains(&key(name))).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

/// The cursors of a process mean nothing to the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_started_again_is_scanned_from_its_beginning() {
    let server = Server::options().appendonly().start().await;
    let store = RedisStore::open(config(&server)).await.unwrap();
    let keys: Vec<_> = (0..200).map(|number| format!("order-{number}")).collect();
    for name in &keys {
        completed(&store, name).await;
    }
    let mut listed = HashSet::new();
    let after = list(&store, None, |page| {
        keep(&mut listed, page);
        ControlFlow::Break(())
    })
    .await;
    assert!(after.is_some(), "200 records are no page");
    server.restart().await;
    let before = listed.len();
    listed.clear();
    list(&store, after, |page| {
        keep(&mut listed, page);
        ControlFlow::Continue(())
    })
    .await;
    assert_eq!(listed.len(), keys.len(), "{before} were listed before");
}

#[tokio::test]
async fn what_is_no_record_is_told_apart() {
    let (server, store) = lone().await;
    let name = |of: &Key| store.redis_key(of);
    let (list_key, short, endless) = (key("a list"), key("a short text"), key("without expiry"));
    server.run(&["RPUSH", &name(&list_key), "1"]).await;
    server.run(&["SET", &name(&short), "short"]).await;
    acquire(&store, "without expiry").await;
    server.run(&["PERSIST", &name(&endless)]).await;
    // None of these is a key of a record.
    let prefix = name(&list_key)[..5].to_owned();
    for other in ["of others", "", &"A".repeat(65), &"A".repeat(66), &"*".repeat(65)] {
        server.run(&["SET", &format!("{prefix}{other}"), "1"]).await;
    }
    let released = acquire(&store, "released").await;
    let _effect = store.release(&released).await.unwrap();
    completed(&store, "completed").await;
    let page = store.scan(&Scan::all(), None).await.unwrap();
    let of = |key: &Key| page.entries.iter().find(|entry| entry.key == *key).map(Entry::state);
    for damaged in [&list_key, &short, &endless] {
        assert_eq!(of(damaged), Some(RecordState::Damaged), "{page:?}");
    }
    assert_eq!(of(&key("completed")), Some(RecordState::Completed));
    assert_eq!(of(&key("released")), None);
    // `AAAA...` of 65 characters could be one.
    assert_eq!(page.entries.len(), 5, "{page:?}");
}
