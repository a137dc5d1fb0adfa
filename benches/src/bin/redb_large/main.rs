//! What a large file costs idem-redb: commits with quick-repair and without, opening after a crash, and how the file
//! shrinks once its records have expired. `cargo run --profile bench -p idem-benches --bin redb-large [-- GiB...]`
//!
//! Takes about twenty minutes and as much disk as the largest size: 1, 4 and 10 GiB unless others are given. 100 MiB come
//! first, for comparison.

mod crash;
mod expiry;
mod load;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use idem_benches::{RETENTION, Result, fill, keys};
use idem_core::Store;
use idem_redb::{RedbConfig, RedbStore};

use load::Load;

const KIB: usize = 1_024;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// How many records are written between two checks of the file's size.
const RECORDS_AT_A_TIME: usize = 20_000;
const ROUNDS: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match &arguments[..] {
        [what, path, quick_repair] if what == crash::CRASH => {
            block_on(crash::crash(path.as_ref(), quick_repair == "true"))
        }
        [what, path, quick_repair] if what == crash::REOPEN => {
            block_on(crash::reopen(path.as_ref(), quick_repair == "true"))
        }
        sizes => sizes_in_bytes(sizes).and_then(|sizes| block_on(bench(&sizes))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("redb-large: {error}");
            ExitCode::FAILURE
        }
    }
}

fn sizes_in_bytes(gibibytes: &[String]) -> Result<Vec<u64>> {
    let mut sizes = vec![100 * MIB];
    if gibibytes.is_empty() {
        sizes.extend([GIB, 4 * GIB, 10 * GIB]);
    }
    for size in gibibytes {
        let size: u64 = size.parse().map_err(|_| format!("{size:?} is not a number of GiB"))?;
        sizes.push(size * GIB);
    }
    sizes.sort_unstable();
    Ok(sizes)
}

fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(future)
}

async fn bench(sizes: &[u64]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("large.idem");
    println!(
        "file MiB | quick-repair | cycles/s, 64 callers | cycles/s, 1 caller | KiB a commit | reopened after a crash, memory"
    );
    for size in sizes {
        grow(&path, *size).await?;
        let mut rounds = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for quick_repair in [true, false] {
                rounds[usize::from(quick_repair)].push(load::measure(&path, quick_repair).await?);
            }
        }
        for quick_repair in [true, false] {
            let (took, resident) = crash::reopening(&path, quick_repair)?;
            let Load { many, one, written_kib } = Load::median(&mut rounds[usize::from(quick_repair)]);
            println!(
                "{:8} | {quick_repair:12} | {many:20.0} | {one:18.0} | {written_kib:12.0} | {took:?}, {} MiB",
                length(&path)? / MIB,
                resident / MIB
            );
        }
    }
    expiry::expire(&path).await
}

/// Fills the file until it has this size.
async fn grow(path: &Path, size: u64) -> Result<()> {
    let store = open(path, false, |config| config.sweep = false).await?;
    let store: Arc<dyn Store> = Arc::new(store);
    while length(path)? < size {
        fill(&store, &keys(RECORDS_AT_A_TIME), KIB, RETENTION).await?;
    }
    Ok(store.close().await?)
}

async fn open(path: &Path, quick_repair: bool, set: impl FnOnce(&mut RedbConfig)) -> Result<RedbStore> {
    let mut config = RedbConfig::new(path);
    config.quick_repair = quick_repair.into();
    config.call_timeout = Duration::from_mins(10);
    set(&mut config);
    Ok(RedbStore::open(config).await?)
}

fn length(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path)?.len())
}
