//! A restart: the store is closed and opened again by the same URI.

use std::sync::Arc;

use idem_core::{Execution, Registry, Store};

use crate::desk::Desk;
use crate::retry::RECEIPT;
use crate::{Result, check};

pub(crate) async fn reopened_store_still_replays(
    store: Arc<dyn Store>,
    registry: &Registry,
    uri: &str,
    desk: &Desk,
) -> Result<()> {
    // The store's capabilities say what it promises beyond the contract, so the code need not know which store it is.
    if !store.capabilities().durable {
        println!("--  this store is memory-only: closed, it forgets, so it is not opened again");
        return Ok(());
    }
    store.close().await?;

    let store = registry.open(uri).await?;
    let before = desk.charges();
    let retry = desk.charge(&store, "order-1", 4_200).await?;
    check(
        matches!(&retry, Execution::Replayed(receipt) if receipt == RECEIPT) && desk.charges() == before,
        format!("a retry after the restart must get the receipt, and ended as {retry:?}"),
    )?;
    println!("ok  closed, opened again, and it still replays: {RECEIPT:?}");
    Ok(store.close().await?)
}
