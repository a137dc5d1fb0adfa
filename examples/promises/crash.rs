//! A holder that crashes midway, shown with the single calls of the contract that `execute` otherwise makes.

use std::time::Duration;

use bytes::Bytes;
use idem_core::{Claim, Effect, Lease, LockAnswer, LostReason, Outcome, Owner, Store};

use crate::desk::{Desk, request};
use crate::{Result, check};

const ORDER: &str = "order-3";
const CENTS: u64 = 700;
/// How long a holder may be silent. Use seconds to minutes in production. It is short here because the example waits
/// for its end.
const LEASE: Duration = Duration::from_millis(200);
const RETENTION: Duration = Duration::from_hours(24);

pub(crate) async fn lease_of_a_crashed_holder_is_taken_over(store: &dyn Store, desk: &Desk) -> Result<()> {
    let crashed = lock(store, desk).await?;
    let saved = Bytes::from_static(b"card charged, receipt not yet sent");
    let checkpoint = store.checkpoint(&crashed, 1, saved.clone(), LEASE).await?;
    check(
        checkpoint == Effect::Applied,
        format!("the holder must keep its lease, and it is {checkpoint:?}"),
    )?;
    // Here the holder crashes: it no longer renews its lease, which runs out.

    let over = store.settled(&desk.key(ORDER)?, Duration::from_secs(10)).await?;
    check(over, "a silent holder's lease must end")?;
    let successor = lock(store, desk).await?;
    check(
        successor.attempt() == 2 && successor.token().sequence > crashed.token().sequence,
        format!("the successor must be attempt 2 with a higher token, and is {successor:?}"),
    )?;
    check(
        successor.checkpoint().is_some_and(|checkpoint| checkpoint.step == 1 && checkpoint.progress == saved),
        format!("the successor must get the checkpoint, and got {:?}", successor.checkpoint()),
    )?;

    // The first holder was only slow, not dead, and does not know that another took over.
    let late = store.complete(&crashed, Outcome::Value(Bytes::from_static(b"late")), RETENTION).await?;
    check(
        late == Effect::Lost(LostReason::Superseded),
        format!("the late completion must be refused as superseded, and was {late:?}"),
    )?;
    let result = Outcome::Value(Bytes::from_static(b"receipt sent"));
    let completed = store.complete(&successor, result.clone(), RETENTION).await?;
    check(completed == Effect::Applied, format!("the successor must complete, and was {completed:?}"))?;
    let kept = store.get(&desk.key(ORDER)?).await?;
    check(
        kept.as_ref().and_then(|record| record.outcome()) == Some(&result),
        format!("the successor's result must be kept, and {kept:?} is"),
    )?;
    println!(
        "ok  a crashed holder's lease is taken over as attempt {} with its checkpoint, its late completion is {late:?}",
        successor.attempt()
    );
    Ok(())
}

async fn lock(store: &dyn Store, desk: &Desk) -> Result<Lease> {
    let claim = Claim { owner: Owner::random()?, lease: LEASE, retention: RETENTION };
    match store.lock(&desk.key(ORDER)?, &request(CENTS), &claim).await? {
        LockAnswer::Acquired(lease) => Ok(lease),
        other => Err(format!("VIOLATED: a key that nobody holds must be acquired, and was {other:?}").into()),
    }
}
