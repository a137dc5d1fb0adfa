//! A transaction elsewhere keeps an old snapshot (REPEATABLE READ), so that nothing that is removed or rewritten meanwhile
//! can be vacuumed.

use idem_servers::postgres::Server;

use super::{load, rules};
use crate::environment::postgres::connect::{connect, number};
use crate::environment::postgres::store::{options, turn};
use crate::judge::rules::Report;
use crate::table::judged;

pub(crate) async fn round(server: &Server, seed: u64) -> Report {
    const COUNT: &str = "SELECT count(*) FROM idem.records";
    let mut load = load([server.addr(); 2], "snapshot", seed).await;
    let (report, admin) = (connect(server.addr()).await, connect(server.addr()).await);
    load.run(500).await;
    report.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    let shown = number(&report, COUNT).await;
    for _ in 0..4 {
        load.run(700).await;
        admin.batch_execute("VACUUM idem.records").await.unwrap();
    }
    // What the snapshot still shows could not be removed, although the records have expired or were written anew.
    let kept = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = 'idem.records'::regclass";
    let kept = number(&admin, kept).await;
    assert_eq!(number(&report, COUNT).await, shown);
    report.batch_execute("ROLLBACK").await.unwrap();
    println!("{kept} dead rows were kept for a snapshot");
    assert!(shown > 0 && kept > 0);
    load.answered().await;
    load.judged_by(&rules()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_beside_a_transaction_with_an_old_snapshot() {
    let server = options(turn(0)).start().await;
    judged("old snapshot", &round(&server, 1).await);
}
