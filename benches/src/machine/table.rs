//! What the table of idem-postgres takes on its server.

use tokio_postgres::{Client, NoTls, Row};

use crate::result::Result;

/// Of the schema `idem`. What lives are the records that have not expired, without anything that the server adds.
const LOOK: &str = "
    SELECT
        (SELECT count(*) FROM idem.records),
        (SELECT coalesce(sum(
            24 + 8 * 8 + 3 + octet_length(key) + octet_length(owner) + octet_length(fingerprint) + octet_length(body)
        ), 0)::bigint FROM idem.records WHERE expires_at > idem.now_us()),
        pg_table_size('idem.records'),
        pg_indexes_size('idem.records'),
        (SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = 'idem.records'::regclass)";
const MIB: u64 = 1 << 20;

/// One look at it, in rows and bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Table {
    /// Rows that are there, expired ones included.
    pub rows: u64,
    /// Bytes of the records that have not expired.
    pub live: u64,
    /// Bytes of the table, with what is stored outside its rows.
    pub heap: u64,
    /// Bytes of its indexes.
    pub index: u64,
    /// Rows that are not vacuumed yet, as far as the server has counted them.
    pub dead: u64,
}

impl Table {
    /// Asks the server.
    pub async fn of(client: &Client) -> Result<Self> {
        let row = client.query_one(LOOK, &[]).await?;
        Ok(Self {
            rows: number(&row, 0)?,
            live: number(&row, 1)?,
            heap: number(&row, 2)?,
            index: number(&row, 3)?,
            dead: number(&row, 4)?,
        })
    }

    /// Bytes on disk.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.heap + self.index
    }

    /// How many times the bytes that live.
    #[must_use]
    pub fn times_live(&self) -> f64 {
        let one = std::slice::from_ref(self);
        Self::most_times_live(one, one)
    }

    /// The most bytes on disk in some looks, against the most that lived `until` then: when less comes in for a while, as on
    /// a busy machine, the table stays as large as it was.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 bytes")]
    pub fn most_times_live(looks: &[Self], until: &[Self]) -> f64 {
        let total = looks.iter().map(Self::total).max().unwrap_or(0);
        let live = until.iter().map(|look| look.live).max().unwrap_or(0);
        total as f64 / live.max(1) as f64
    }
}

/// What [`Table`]s are printed under.
pub const TABLE_HEADER: &str = "live MiB  table MiB  index MiB  dead rows  times live";

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [live, heap, index] = [self.live, self.heap, self.index].map(|bytes| bytes / MIB);
        write!(f, "{live:>8}  {heap:>9}  {index:>9}  {:>9}  {:>10.1}", self.dead, self.times_live())
    }
}

/// A connection besides those of the store, without TLS: `postgres://app@host:5432/app`.
pub async fn connect(uri: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(uri, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn number(row: &Row, column: usize) -> Result<u64> {
    Ok(u64::try_from(row.try_get::<_, i64>(column)?)?)
}
