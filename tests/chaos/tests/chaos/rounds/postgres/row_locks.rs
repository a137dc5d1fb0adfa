//! Transactions of an application hold records, and keys that they have locked themselves. Some complete those and commit,
//! the others roll back.

use std::time::Duration;

use bytes::Bytes;
use idem_core::{Claim, Fingerprint, LockAnswer, Outcome, Transacted};
use idem_postgres::PostgresStoreExt as _;
use idem_servers::postgres::Server;
use tokio::time::sleep;
use tokio_postgres::Client;

use super::{load, rules};
use crate::callers::caller::{Caller, new_owner};
use crate::callers::load::Load;
use crate::callers::worker::RETENTION;
use crate::environment::postgres::connect::connect;
use crate::environment::postgres::store::{options, turn};
use crate::judge::history::{Answer, Call, Digest, Event, now, owner};
use crate::judge::rules::Report;
use crate::rng::Rng;
use crate::table::judged;

const TRANSACTIONS: usize = 12;
/// Whose calls those of the transactions are in the history.
const APPLICATION: u32 = 900;

pub(crate) async fn round(server: &Server, seed: u64) -> Report {
    let mut load = load([server.addr(); 2], "row locks", seed).await;
    let (mut client, mut rng) = (connect(server.addr()).await, Rng::new(seed));
    let caller = Caller { worker: APPLICATION, ..load.caller().clone() };
    let (mut rows, mut committed) = (0, 0);
    load.run(500).await;
    for number in 0..TRANSACTIONS {
        if number.is_multiple_of(3) {
            rows += hold_rows(&mut client, rng.pick(&[50, 400, 1_500])).await;
        } else {
            committed += usize::from(lock_a_key(&load, &caller, &mut client, &mut rng).await);
        }
    }
    load.answered().await;
    println!("{rows} records were held, {committed} transactions completed the key that they had locked");
    assert!(rows > 0 && committed > 0);
    load.judged_by(&rules()).await
}

/// Holds records that are in use for some milliseconds, as somebody who looks at them with `FOR UPDATE`.
async fn hold_rows(client: &mut Client, millis: u64) -> usize {
    const NEWEST: &str =
        "SELECT 1 FROM idem.records WHERE state = 1 ORDER BY sequence DESC LIMIT 10 FOR UPDATE SKIP LOCKED";
    let transaction = client.transaction().await.unwrap();
    let held = transaction.query(NEWEST, &[]).await.unwrap().len();
    sleep(Duration::from_millis(millis)).await;
    transaction.rollback().await.unwrap();
    held
}

/// Locks a key that others are about to use, works, and in half of the cases completes it. Whether it is completed.
async fn lock_a_key(load: &Load, caller: &Caller, client: &mut Client, rng: &mut Rng) -> bool {
    let store = caller.store.as_postgres().unwrap();
    let number = load.round.keys() + 5;
    let claim = Claim { owner: new_owner(), lease: Duration::from_secs(8), retention: RETENTION };
    let fingerprint = Fingerprint::builder("chaos").part([0]).finish();
    let mut transaction = client.transaction().await.unwrap();
    let begin = now();
    let answer = store.lock_in(&mut transaction, &caller.key(number), &fingerprint, &claim).await.unwrap();
    let LockAnswer::Acquired(lease) = answer else {
        transaction.rollback().await.unwrap();
        return false;
    };
    sleep(Duration::from_millis(rng.pick(&[30, 200, 900]))).await;
    if rng.percent(50) {
        // As if it had never been there.
        transaction.rollback().await.unwrap();
        return false;
    }
    let value = Bytes::from(format!("by the transaction of {:?}", claim.owner));
    let completing = now();
    let committed =
        store.complete_and_commit(transaction, &lease, Outcome::Value(value.clone())).await.unwrap();
    assert!(matches!(committed, Transacted::Applied), "{committed:?}");
    let token = lease.token().into();
    let retention = u64::try_from(RETENTION.as_micros()).unwrap();
    let lock = Call::Lock { owner: owner(&claim.owner), fingerprint: 0, retention, confirms: true };
    let acquired = Answer::Acquired { token, attempt: lease.attempt(), saved: None, until: 0 };
    let complete = Call::Complete { token, bytes: Digest::of(&value), retention };
    for (begin, call, answer) in
        [(begin, lock, acquired), (completing, complete, Answer::Applied { until: 0 })]
    {
        caller.history.add(Event { worker: APPLICATION, key: number, begin, end: now(), call, answer });
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_transactions_hold_records_and_keys() {
    let server = options(turn(1)).start().await;
    judged("row locks", &round(&server, 1).await);
}
