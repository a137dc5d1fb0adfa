//! How long it takes to list records, and what callers notice of an erasure.
//! `cargo run --profile bench -p idem-benches --bin listing [-- records = 1000000 [store...]]`
//!
//! Fills each store (`redb`, `moka`, `postgres`, `redis`) with completed records of twenty scopes, and lists all of them,
//! those of one scope, and those that are held, of which there are ten. Then 32 callers lock and complete keys, first alone and
//! then while that scope is erased, and alone again. At a million records it takes some minutes.

mod callers;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use idem_benches::{Result, fill};
use idem_core::scan::{RecordState, Scan};
use idem_core::{Claim, Fingerprint, Key, Owner, Scope, Store};
use idem_moka::{MokaConfig, MokaStore};
use idem_postgres::{PostgresConfig, PostgresStore};
use idem_redb::RedbStore;
use idem_redis::{RedisConfig, RedisStore};
use tokio::time::Instant;

const STORES: [&str; 4] = ["redb", "moka", "postgres", "redis"];
const SCOPES: usize = 20;
const OUTCOME: usize = 200;
const DAY: Duration = Duration::from_hours(24);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let records = arguments.next().map_or(Ok(1_000_000), |records| records.parse::<usize>());
    let chosen: Vec<_> = arguments.collect();
    let (Ok(records), true) = (records, chosen.iter().all(|name| STORES.contains(&&**name))) else {
        eprintln!("listing [records = 1000000 [{}]]", STORES.join(" "));
        return ExitCode::from(2);
    };
    let is_chosen = |name: &&str| chosen.is_empty() || chosen.iter().any(|chosen| chosen == name);
    let measured =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map(|runtime| {
            runtime.block_on(async {
                for name in STORES.into_iter().filter(is_chosen) {
                    on(name, records).await?;
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            })
        });
    match measured {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("listing: {error}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("listing: {error}");
            ExitCode::FAILURE
        }
    }
}

/// On a store of its own, and a server of its own.
async fn on(name: &str, records: usize) -> Result<()> {
    match name {
        "redb" => {
            let folder = tempfile::tempdir()?;
            let store = RedbStore::open(folder.path().join("listing.idem")).await?;
            measure(name, Arc::new(store), records).await
        }
        "moka" => {
            let mut config = MokaConfig::default();
            (config.max_bytes, config.max_entries) = (8 << 30, 8 * records as u64);
            config.max_share_per_scope = 1.0;
            measure(name, Arc::new(MokaStore::new(config)?), records).await
        }
        "postgres" => {
            let server =
                idem_servers::postgres::Server::options().config("max_wal_size = '4GB'").start().await;
            let config = PostgresConfig::new([server.addr().to_string().parse()?], "postgres");
            measure(name, Arc::new(PostgresStore::open(config).await?), records).await
        }
        _ => {
            let server = idem_servers::redis::Server::options().start().await;
            let config = RedisConfig::standalone(server.addr().to_string().parse()?);
            measure(name, Arc::new(RedisStore::open(config).await?), records).await
        }
    }
}

async fn measure(name: &str, store: Arc<dyn Store>, records: usize) -> Result<()> {
    let scopes: Vec<_> =
        (0..SCOPES).map(|number| Scope::new(format!("tenant-{number}"))).collect::<Result<_, _>>()?;
    let keys = (0..records).map(|number| Key::new(&scopes[number % SCOPES], number.to_string()));
    let begun = Instant::now();
    fill(&store, &keys.collect::<Result<_, _>>()?, OUTCOME, DAY).await?;
    hold(&*store, &scopes[0], 10).await?;
    println!("{name}: {records} records in {:?}", begun.elapsed());
    let erased = &scopes[1];
    for (what, scan) in [
        ("all", Scan::all()),
        ("one scope", Scan::of_scope(erased)),
        ("held", Scan::all().with_state(RecordState::Held)),
        ("held, 10,000 at a time", Scan::all().with_state(RecordState::Held).with_limit(Scan::MAX_LIMIT)),
    ] {
        list(&*store, what, &scan).await?;
    }
    alone(&store).await?;
    let erasing = callers::while_it_runs(&store, erase(&*store, erased)).await?;
    println!("  callers during the erasure: {}", erasing.1);
    let (removed, took, longest) = erasing.0?;
    println!("  erased {removed} records in {took:?}, longest step {longest:?}");
    alone(&store).await?;
    store.close().await?;
    Ok(())
}

async fn alone(store: &Arc<dyn Store>) -> Result<()> {
    let alone = callers::while_it_runs(store, tokio::time::sleep(Duration::from_secs(10))).await?.1;
    println!("  callers alone: {alone}");
    Ok(())
}

async fn hold(store: &dyn Store, scope: &Scope, keys: usize) -> Result<()> {
    for number in 0..keys {
        let key = Key::new(scope, format!("held-{number}"))?;
        let claim = Claim { owner: Owner::random()?, lease: DAY, retention: DAY };
        let _lease = store.lock(&key, &Fingerprint::from_bytes([7; 32]), &claim).await?;
    }
    Ok(())
}

async fn list(store: &dyn Store, what: &str, scan: &Scan) -> Result<()> {
    let begun = Instant::now();
    let (mut first, mut longest, mut pages, mut listed, mut after) = (None, Duration::ZERO, 0, 0, None);
    loop {
        let asked = Instant::now();
        let page = store.scan(scan, after.as_ref()).await?;
        longest = longest.max(asked.elapsed());
        first.get_or_insert(asked.elapsed());
        pages += 1;
        listed += page.entries.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let (took, first) = (begun.elapsed(), first.unwrap_or_default());
    println!(
        "  {what}: {listed} in {took:?}, {pages} pages, the first in {first:?}, the longest in {longest:?}"
    );
    Ok(())
}

async fn erase(store: &dyn Store, scope: &Scope) -> Result<(u64, Duration, Duration)> {
    let begun = Instant::now();
    let (mut removed, mut longest, mut after) = (0, Duration::ZERO, None);
    loop {
        let asked = Instant::now();
        let step = store.erase(scope, false, after.as_ref()).await?;
        let took = asked.elapsed();
        longest = longest.max(took);
        removed += step.removed;
        after = step.next;
        if after.is_none() {
            return Ok((removed, begun.elapsed(), longest));
        }
        // As the docs advise.
        tokio::time::sleep(took).await;
    }
}
