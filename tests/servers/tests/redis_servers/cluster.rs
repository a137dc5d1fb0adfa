//! A cluster: failover, slot migration, and agreement of its nodes.

use idem_servers::redis::{Cluster, Node, Reply, slot};

#[tokio::test]
async fn a_new_cluster_serves_every_slot() {
    let cluster = Cluster::start().await;
    assert_eq!(cluster.nodes().len(), 6);
    let masters = cluster.masters().await;
    assert_eq!(masters, cluster.nodes()[..3]);
    for (master, replica) in masters.iter().zip(&cluster.nodes()[3..]) {
        assert_eq!(cluster.replica_of(master).await, *replica);
    }
    for key in ["a", "b", "c", "d"] {
        cluster.master_of(slot(key.as_bytes())).await.run(&["SET", key, "1"]).await;
    }
}

#[tokio::test]
async fn a_replica_takes_over_by_command_and_by_election() {
    let cluster = Cluster::start().await;
    let first = cluster.master_of(0).await;
    let second = cluster.replica_of(&first).await;
    cluster.failover(&second).await;
    assert_eq!(cluster.master_of(0).await, second);
    cluster.wait_ok().await;
    assert_eq!(cluster.replicas_of(&second).await, std::slice::from_ref(&first));

    cluster.server(&second).kill();
    cluster.wait_ok_without(&[&second]).await;
    assert_eq!(cluster.master_of(0).await, first);

    cluster.server(&second).restart().await;
    cluster.wait_ok().await;
    assert_eq!(cluster.replica_of(&first).await, second);

    cluster.server(&first).stop();
    cluster.takeover(&second).await;
    assert_eq!(cluster.master_of(0).await, second);
    cluster.server(&first).cont();
    cluster.wait_ok().await;
}

#[tokio::test]
async fn a_migrating_slot_answers_ask_and_a_moved_one_moved() {
    let cluster = Cluster::options().replicas(0).start().await;
    let (here, gone) = ("{tag}here", "{tag}gone");
    let slot = slot(b"tag");
    let from = cluster.master_of(slot).await;
    let to = cluster.masters().await.into_iter().find(|node| *node != from).unwrap();
    from.run(&["SET", here, "1"]).await;
    from.run(&["SET", gone, "2"]).await;

    let migration = cluster.begin_migration(slot, &to).await;
    assert!(migration.move_key(gone.as_bytes()).await);
    assert_eq!(from.run(&["GET", here]).await.text(), "1");
    assert_eq!(get(&from, gone).await, Reply::Error(format!("ASK {slot} {to}")));
    assert_eq!(get(&to, gone).await, Reply::Error(format!("MOVED {slot} {from}")));
    let mut asking = to.connect().await.unwrap();
    asking.command(&["ASKING"]).await.unwrap();
    assert_eq!(asking.command(&["GET", gone]).await.unwrap().text(), "2");
    migration.cancel().await;
    assert_eq!(from.run(&["GET", gone]).await.text(), "2");

    cluster.migrate_slot(slot, &to).await;
    assert_eq!(cluster.master_of(slot).await, to);
    assert_eq!(to.run(&["GET", here]).await.text(), "1");
    assert_eq!(get(&from, here).await, Reply::Error(format!("MOVED {slot} {to}")));
    cluster.wait_ok().await;
}

/// During `MIGRATE`, neither the sending nor the receiving master answers other commands, so two masters that
/// migrated keys to each other would deadlock.
#[tokio::test]
async fn keys_move_between_two_masters_both_ways_at_once() {
    let cluster = Cluster::start().await;
    let (mut here, mut there) = (Vec::new(), Vec::new());
    let masters = cluster.masters().await;
    for number in 0.. {
        let key = format!("{{{number}}}");
        let master = cluster.master_of(slot(key.as_bytes())).await;
        let (from, to) = if master == masters[0] {
            (&mut here, &masters[1])
        } else if master == masters[1] {
            (&mut there, &masters[0])
        } else {
            continue;
        };
        if from.len() < 20 {
            // Large enough that `MIGRATE` takes some time.
            master.run(&[b"SET".as_slice(), key.as_bytes(), &vec![7; 4 << 20]]).await;
            from.push((cluster.begin_migration(slot(key.as_bytes()), to).await, key));
        }
        if here.len() == 20 && there.len() == 20 {
            break;
        }
    }
    for ((away, key), (back, other)) in here.iter().zip(&there) {
        let moved = tokio::join!(away.move_key(key.as_bytes()), back.move_key(other.as_bytes()));
        assert_eq!(moved, (true, true));
    }
}

/// A master that takes a slot claims it with the highest epoch it knows of. A master that has not heard of the
/// latest claim uses the same epoch. Of two masters with the same epoch, the one whose id comes first claims all
/// its slots again, including the one it is giving away.
#[tokio::test]
async fn every_node_agrees_on_each_of_many_slots_that_move() {
    let cluster = Cluster::options().replicas(0).start().await;
    let masters = cluster.masters().await;
    for number in 0..300 {
        let key = format!("{{{number}}}");
        let slot = slot(key.as_bytes());
        let from = cluster.master_of(slot).await;
        let to = masters.iter().filter(|node| **node != from).nth(number % 2).unwrap();
        from.run(&["SET", &key, "1"]).await;
        cluster.migrate_slot(slot, to).await;
        assert_eq!(to.run(&["GET", &key]).await.text(), "1");
    }
}

async fn get(node: &Node, key: &str) -> Reply {
    node.command(&["GET", key]).await.unwrap()
}
