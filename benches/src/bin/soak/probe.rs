//! What a store uses, sampled while it is under load.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use idem_benches::{Result, TABLE_HEADER, Table};
use idem_core::Store;
use idem_core::config::masked;
use idem_moka::MokaStore;
use idem_postgres::PostgresStoreExt as _;
use idem_redb::RedbStoreExt as _;
use idem_redis::Address;
use idem_servers::redis::Node;
use tokio::net::lookup_host;
use tokio::runtime::Handle;

use crate::database::Postgres;
use crate::ledger::Ledger;
use crate::sample::Sample;

pub(crate) struct Probe {
    store: Arc<dyn Store>,
    place: Place,
    entered: u64,
}

/// Where a store keeps everything.
enum Place {
    File(PathBuf),
    Memory,
    Server(Node),
    Table(Postgres),
}

impl Probe {
    /// # Errors
    /// When a figure of this store cannot be sampled: a run would not notice its growth.
    pub(crate) async fn new(store: &Arc<dyn Store>, uri: &str) -> Result<Self> {
        let place = Place::of(&**store, uri).await?;
        let probe = Self { store: Arc::clone(store), place, entered: 0 };
        let missing = [
            ("how many records it holds", probe.records().await.is_none()),
            ("the size of its file", matches!(probe.place, Place::File(_)) && probe.file().is_none()),
            (
                "its server's memory",
                matches!(probe.place, Place::Server(_)) && probe.server().await.is_none(),
            ),
            (
                "the size of its table",
                matches!(probe.place, Place::Table(_)) && probe.table().await.is_none(),
            ),
            ("the memory of this process", idem_benches::resident().is_none()),
        ];
        let missing: Vec<_> = missing.iter().filter(|(_, missing)| *missing).map(|(what, _)| *what).collect();
        if missing.is_empty() {
            return Ok(probe);
        }
        Err(format!("{} cannot be sampled: {} cannot be seen", masked(uri), missing.join(", ")).into())
    }

    pub(crate) fn header(&self) -> String {
        let of_the_table = format!("   {TABLE_HEADER}");
        Sample::HEADER.to_owned() + if matches!(self.place, Place::Table(_)) { &of_the_table } else { "" }
    }

    pub(crate) async fn sample(&mut self, ledger: &Ledger) -> Sample {
        let before = std::mem::replace(&mut self.entered, ledger.entered.load(Relaxed));
        let table = self.table().await;
        Sample {
            entered: self.entered - before,
            records: match table {
                Some(table) => Some(table.rows),
                None => self.records().await,
            },
            file: self.file(),
            memory: idem_benches::resident(),
            server: self.server().await,
            table,
            connections: self.connections().await,
            tasks: Handle::current().metrics().num_alive_tasks() as u64,
            lock_p99: ledger.take_lock_p99(),
        }
    }

    async fn records(&self) -> Option<u64> {
        match &self.place {
            Place::File(_) => {
                let stats = self.store.as_redb()?.stats().await.ok()?;
                Some(stats.unfinished + stats.completed)
            }
            Place::Server(server) => {
                let keys = server.command(&["DBSIZE"]).await.ok()?;
                u64::try_from(keys.integer()?).ok()
            }
            Place::Table(_) => self.table().await.map(|table| table.rows),
            Place::Memory => {
                let moka: &MokaStore = self.store.as_any().downcast_ref()?;
                let stats = moka.stats();
                Some(stats.locks + stats.completed)
            }
        }
    }

    fn file(&self) -> Option<u64> {
        let Place::File(path) = &self.place else { return None };
        Some(std::fs::metadata(path).ok()?.len())
    }

    async fn table(&self) -> Option<Table> {
        let Place::Table(server) = &self.place else { return None };
        server.table().await
    }

    async fn connections(&self) -> Option<u64> {
        let Place::Table(server) = &self.place else { return None };
        server.connections().await
    }

    async fn server(&self) -> Option<u64> {
        let server = match &self.place {
            Place::Server(server) => server,
            Place::Table(server) => return server.memory().await,
            Place::File(_) | Place::Memory => return None,
        };
        server.command(&["INFO", "memory"]).await.ok()?.field("used_memory")?.parse().ok()
    }
}

impl Place {
    async fn of(store: &dyn Store, uri: &str) -> Result<Self> {
        let target = uri.split('?').next().unwrap_or(uri);
        if store.as_redb().is_some() {
            let path = target.strip_prefix("redb:").unwrap_or(target);
            return Ok(Self::File(path.strip_prefix("//").unwrap_or(path).into()));
        }
        if store.as_any().is::<MokaStore>() {
            return Ok(Self::Memory);
        }
        if store.as_postgres().is_some() {
            return Ok(Self::Table(Postgres::connect(target).await?));
        }
        let Some(server) = target.strip_prefix("redis://") else {
            return Err(format!(
                "{} cannot be sampled: no redb:, moka:, redis:// or postgres://",
                masked(uri)
            )
            .into());
        };
        let server = server.strip_suffix("/0").or_else(|| server.strip_suffix('/')).unwrap_or(server);
        match server.parse() {
            // Database 0 of one server without a password: the probe sees nothing else.
            Ok(Address::Tcp { host, port }) if !server.contains(['@', ',', '/']) => {
                let mut found = lookup_host((host.as_str(), port)).await?;
                found.next().map(|addr| Self::Server(Node::new(addr))).ok_or_else(|| format!("no server {host}").into())
            }
            _ => Err(format!(
                "{} cannot be sampled: it must be redis://host:port, one server without a password, database 0",
                masked(uri)
            )
            .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn probe(uri: &str) -> Result<Probe> {
        let registry = crate::registry();
        Probe::new(&registry.open(uri).await?, uri).await
    }

    fn refused(probed: Result<Probe>) -> String {
        match probed {
            Ok(_) => panic!("it should have been refused"),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn every_store_is_sampled_with_all_that_it_uses() {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let path = folder.path().join("soak.idem");
        let server = idem_servers::redis::Server::lone().await;
        for (uri, file, remote) in [
            (format!("redb:{}", path.display()), true, false),
            (format!("redb://{}?quick_repair=false", path.with_extension("other").display()), true, false),
            ("moka:?max_bytes=256MiB".to_owned(), false, false),
            (format!("redis://{}/0", server.addr()), false, true),
            (format!("redis://localhost:{}", server.addr().port()), false, true),
        ] {
            let sample =
                probe(&uri).await.unwrap_or_else(|error| panic!("{error}")).sample(&Ledger::default()).await;
            assert!(sample.records.is_some() && sample.memory.is_some(), "{uri}: {sample:?}");
            assert_eq!((sample.file.is_some(), sample.server.is_some()), (file, remote), "{uri}: {sample:?}");
            assert!(sample.server != Some(0) && sample.server != sample.memory, "{uri}: {sample:?}");
        }
    }

    #[tokio::test]
    async fn store_on_postgres_is_sampled_with_its_table_and_connections() {
        let server = idem_servers::postgres::Server::lone().await;
        let probed = probe(&server.uri()).await;
        let sample = probed.unwrap_or_else(|error| panic!("{error}")).sample(&Ledger::default()).await;
        assert!(sample.table.is_some_and(|table| table.total() > 0), "{sample:?}");
        assert!(sample.connections.is_some_and(|connections| (2..=6).contains(&connections)), "{sample:?}");
        assert!(sample.records == Some(0) && sample.server.is_some_and(|server| server > 0), "{sample:?}");
    }

    #[tokio::test]
    async fn store_that_cannot_be_sampled_is_refused_with_the_reason() {
        let server = idem_servers::redis::Server::lone().await;
        for uri in [format!("redis://{}/1", server.addr()), format!("redis://default:@{}", server.addr())] {
            let message = refused(probe(&uri).await);
            assert!(message.contains("cannot be sampled"), "{uri}: {message}");
        }
    }
}
