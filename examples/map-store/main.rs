//! A store of your own, in `store.rs`: it takes one page, and works wherever a store is expected.
//!
//! ```text
//! cargo run --example map-store
//! ```
//!
//! `examples/tests/map_store.rs` runs the conformance kit on it, as you would on yours.

mod store;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use idem_core::clock::SystemClock;
use idem_core::{Fingerprint, Key, Policy, Result, Scope, Store, StoreExt};
use store::MapStore;

#[tokio::main]
async fn main() -> Result<()> {
    let store: Arc<dyn Store> = Arc::new(MapStore::new(1 << 20, SystemClock::shared()));
    let key = Key::new(&Scope::shared(), "order-17")?;
    let fingerprint = Fingerprint::builder("orders v1").part("3 apples").finish();
    let policy = Policy::new(Duration::from_secs(30), Duration::from_hours(24));
    for attempt in 1..=2 {
        let work = |_lease| async { Ok::<_, io::Error>("3 apples for 2.40".to_owned()) };
        let execution = store.execute(&key, &fingerprint, &policy, work).await?;
        println!("attempt {attempt}: {execution:?}");
    }
    Ok(())
}
