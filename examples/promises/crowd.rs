//! Many callers of one key at the same time.

use std::sync::Arc;

use idem_core::{Execution, Store};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::desk::Desk;
use crate::{Result, check};

const CALLERS: usize = 100;

pub(crate) async fn concurrent_callers_run_it_once(store: &Arc<dyn Store>, desk: &Desk) -> Result<()> {
    let before = desk.charges();
    let start = Arc::new(Barrier::new(CALLERS));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (store, desk, start) = (Arc::clone(store), desk.clone(), Arc::clone(&start));
        callers.spawn(async move {
            start.wait().await;
            desk.charge(&store, "order-2", 1_250).await
        });
    }

    let (mut executed, mut replayed) = (Vec::new(), Vec::new());
    while let Some(ended) = callers.join_next().await {
        match ended?? {
            Execution::Executed(receipt) => executed.push(receipt),
            Execution::Replayed(receipt) => replayed.push(receipt),
            other => check(false, format!("each caller must get the result, and one ended as {other:?}"))?,
        }
    }
    check(
        desk.charges() == before + 1 && executed.len() == 1 && replayed.len() == CALLERS - 1,
        format!(
            "{CALLERS} callers must run it once; charged {} times, executed {}, replayed {}",
            desk.charges() - before,
            executed.len(),
            replayed.len()
        ),
    )?;
    check(
        replayed.iter().all(|receipt| *receipt == executed[0]),
        format!("all must get the one receipt {:?}, and got {replayed:?} too", executed[0]),
    )?;
    println!("ok  {CALLERS} concurrent callers run it once, and all get {:?}", executed[0]);
    Ok(())
}
