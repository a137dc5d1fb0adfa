//! The cost of opening the file after a process died with it open.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use idem_benches::{RETENTION, Result, fill, most_resident};
use idem_core::{Key, Scope, Store};
use tokio::time::Instant;

use crate::{KIB, open};

/// The arguments by which this program starts itself in another role.
pub(crate) const CRASH: &str = "crash";
pub(crate) const REOPEN: &str = "reopen";

/// Commits some records, and aborts.
pub(crate) async fn crash(path: &Path, quick_repair: bool) -> Result<()> {
    let store: Arc<dyn Store> = Arc::new(open(path, quick_repair, |_| ()).await?);
    fill(&store, &keys()?, KIB, RETENTION).await?;
    std::process::abort()
}

/// Opens the file, and prints the time in milliseconds and the peak memory in bytes.
pub(crate) async fn reopen(path: &Path, quick_repair: bool) -> Result<()> {
    let begun = Instant::now();
    let store = open(path, quick_repair, |_| ()).await?;
    println!("{} {}", begun.elapsed().as_millis(), most_resident().ok_or("no count of memory")?);
    Ok(store.close().await?)
}

/// How long the opening takes after a crash, and its peak memory in bytes.
pub(crate) fn reopening(path: &Path, quick_repair: bool) -> Result<(Duration, u64)> {
    if run(CRASH, path, quick_repair)?.status.success() {
        return Err("the process did not die".into());
    }
    let reopened = run(REOPEN, path, quick_repair)?;
    if !reopened.status.success() {
        return Err(String::from_utf8_lossy(&reopened.stderr).into());
    }
    let printed = String::from_utf8(reopened.stdout)?;
    let (took, resident) = printed.trim().split_once(' ').ok_or("two numbers were expected")?;
    Ok((Duration::from_millis(took.parse()?), resident.parse()?))
}

fn run(what: &str, path: &Path, quick_repair: bool) -> Result<Output> {
    Ok(Command::new(std::env::current_exe()?).arg(what).arg(path).arg(quick_repair.to_string()).output()?)
}

/// Keys of this process alone. `idem_benches::keys` repeats the same ones in each process, and the file outlives this
/// one.
fn keys() -> Result<Arc<[Key]>> {
    let scope = Scope::new(format!("crash of process {}", std::process::id()))?;
    Ok((0..100).map(|number| Key::new(&scope, number.to_string())).collect::<idem_core::Result<_>>()?)
}
