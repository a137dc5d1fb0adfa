//! What a store on PostgreSQL uses.

use idem_benches::{Result, Table, connect};
use tokio_postgres::Client;

/// The store's connections are named so.
const ITS_CONNECTIONS: &str = "SELECT pid FROM pg_stat_activity WHERE application_name = 'idem'";
const PAGE: u64 = 4_096;

/// A connection besides the store's, to its database. Its table is in the schema `idem`.
pub(crate) struct Postgres(Client);

impl Postgres {
    /// `target`: `postgres://app@host:5432/app`.
    pub(crate) async fn connect(target: &str) -> Result<Self> {
        Ok(Self(connect(target).await?))
    }

    pub(crate) async fn table(&self) -> Option<Table> {
        Table::of(&self.0).await.ok()
    }

    pub(crate) async fn connections(&self) -> Option<u64> {
        Some(self.pids().await?.len() as u64)
    }

    /// The bytes that the processes of its connections have for themselves, where they are of this machine. One that has
    /// just ended has none.
    pub(crate) async fn memory(&self) -> Option<u64> {
        let pids = self.pids().await?;
        let own: Vec<_> = pids.iter().filter_map(|pid| own_memory(*pid)).collect();
        (!own.is_empty()).then(|| own.iter().sum())
    }

    async fn pids(&self) -> Option<Vec<i32>> {
        let rows = self.0.query(ITS_CONNECTIONS, &[]).await.ok()?;
        rows.iter().map(|row| row.try_get(0).ok()).collect()
    }
}

/// Resident, and not shared with other processes.
fn own_memory(pid: i32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut pages = statm.split(' ').skip(1).map(str::parse::<u64>);
    let (resident, shared) = (pages.next()?.ok()?, pages.next()?.ok()?);
    Some(resident.saturating_sub(shared) * PAGE)
}
