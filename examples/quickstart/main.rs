//! A card that is charged once, however often the client asks:
//!
//! ```text
//! cargo run --example quickstart                      the keys are in a temporary file
//! cargo run --example quickstart -- ./payments.idem   the keys are in a file that stays: run it twice
//! ```

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use idem_core::{Execution, Fingerprint, Key, Policy, Result, Scope, StoreExt};
use idem_redb::RedbStore;

#[tokio::main]
async fn main() -> Result<()> {
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let path = given
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("quickstart-{}", std::process::id())));
    let store = RedbStore::open(path.as_path()).await?;

    // The client sends a key with its order. It gets no answer, so it sends both again.
    for attempt in 1..=3 {
        println!("attempt {attempt}: {}", pay(&store, "order-17", 1_250).await?);
    }
    // The same key with another order is a mistake of the client. It does not get the answer to the first order.
    println!("other amount: {}", pay(&store, "order-17", 999).await?);

    store.close().await?;
    if given.is_none() {
        let _left_behind = std::fs::remove_file(path);
    }
    Ok(())
}

/// Charges `cents` once for each `client_key`.
async fn pay(store: &RedbStore, client_key: &str, cents: u64) -> Result<String> {
    let key = Key::new(&Scope::new("tenant-7")?, client_key)?;
    // What the request asks for.
    let fingerprint = Fingerprint::builder("payments v1").part(cents.to_le_bytes()).finish();
    // How long a holder may be silent before another takes over, and how long the answer is replayed.
    let policy = Policy::new(Duration::from_secs(30), Duration::from_hours(24));

    let execution = store.execute(&key, &fingerprint, &policy, |_lease| charge(cents)).await?;
    Ok(match execution {
        Execution::Executed(receipt) => format!("executed, {receipt}"),
        Execution::Replayed(receipt) => format!("replayed, {receipt}"),
        Execution::FingerprintMismatch => "refused, the key belongs to another request".to_owned(),
        Execution::InProgress { remaining } => format!("in progress, ask again within {remaining:?}"),
        other => format!("{other:?}"),
    })
}

/// The work that must not happen twice.
async fn charge(cents: u64) -> io::Result<String> {
    tokio::time::sleep(Duration::from_millis(100)).await; // a call to the bank
    println!("the card is charged {cents} cents");
    Ok(format!("receipt for {cents} cents"))
}
