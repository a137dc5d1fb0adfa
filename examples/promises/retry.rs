//! One caller: a call, its retry, and a key that comes back with something else.

use idem_core::{Execution, Store};

use crate::desk::Desk;
use crate::{Result, check};

/// The answer to the first call, and to every retry after it.
pub(crate) const RECEIPT: &str = "receipt 1: charged 4200 cents";

pub(crate) async fn first_call_executes(store: &dyn Store, desk: &Desk) -> Result<()> {
    let first = desk.charge(store, "order-1", 4_200).await?;
    check(
        matches!(&first, Execution::Executed(receipt) if receipt == RECEIPT) && desk.charges() == 1,
        format!("the first call must run the work, and ended as {first:?}"),
    )?;
    println!("ok  the first call executes: {RECEIPT:?}");
    Ok(())
}

pub(crate) async fn retry_replays(store: &dyn Store, desk: &Desk) -> Result<()> {
    let retry = desk.charge(store, "order-1", 4_200).await?;
    check(
        matches!(&retry, Execution::Replayed(receipt) if receipt == RECEIPT) && desk.charges() == 1,
        format!("a retry must get the first call's receipt, and ended as {retry:?}"),
    )?;
    println!("ok  a retry replays it: {RECEIPT:?}, and no card is charged");
    Ok(())
}

pub(crate) async fn other_payload_is_refused(store: &dyn Store, desk: &Desk) -> Result<()> {
    let reused = desk.charge(store, "order-1", 9_900).await?;
    check(
        matches!(reused, Execution::FingerprintMismatch) && desk.charges() == 1,
        format!("a key with another amount must be refused, and ended as {reused:?}"),
    )?;
    println!("ok  the same key with another amount is refused, and is shown no receipt");
    Ok(())
}
