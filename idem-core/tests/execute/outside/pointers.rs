//! `execute` through every kind of pointer to a store.

use std::sync::Arc;

use idem_core::metrics::Observed;
use idem_core::{Execution, Expired, Store, StoreExt};

use crate::support::{LEASE, Scripted, key, order, policy};

async fn run<S: Store + ?Sized>(store: &S) -> Execution<u8, ()> {
    store.execute(&key(), &order(), &policy(), |_| async { Ok(7) }).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_pointer_to_a_store_is_a_store() {
    let scripted = Scripted::new();
    let shared: Arc<dyn Store> = Arc::new(scripted.clone());
    let boxed: Box<dyn Store> = Box::new(scripted.clone());
    let nested: Arc<Box<dyn Store>> = Arc::new(Box::new(scripted.clone()));
    assert!(matches!(run(&scripted).await, Execution::Executed(7)));
    assert!(matches!(run(&shared).await, Execution::Replayed(7)));
    assert!(matches!(run(&*shared).await, Execution::Replayed(7)));
    assert!(matches!(run(&boxed).await, Execution::Replayed(7)));
    assert!(matches!(run(&nested).await, Execution::Replayed(7)));
    assert!(matches!(run(&Observed::new(nested)).await, Execution::Replayed(7)));
}

/// Pointers do not hide what only one backend can do.
#[tokio::test(start_paused = true)]
async fn pointers_show_the_store_underneath() {
    let scripted = Scripted::new();
    let nested: Arc<Box<dyn Store>> = Arc::new(Box::new(Observed::new(scripted)));
    assert!(nested.as_any().is::<Scripted>());
    assert_eq!(nested.expire(1).await.unwrap(), Expired::default());
    assert!(nested.settled(&key(), LEASE).await.unwrap());
    assert!(!nested.remove(&key(), true).await.unwrap());
    assert_eq!(nested.capabilities(), idem_core::Capabilities::default());
}

#[tokio::test(start_paused = true)]
async fn execute_runs_in_a_task_of_its_own() {
    let shared: Arc<dyn Store> = Arc::new(Scripted::new());
    let task = tokio::spawn(async move { run(&shared).await });
    assert!(matches!(task.await.unwrap(), Execution::Executed(7)));
}
