//! What is seen of a run in each second.

use std::fmt;
use std::time::Duration;

use idem_benches::Table;

/// One second of a run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    /// Records that came in during this second.
    pub(crate) entered: u64,
    /// Records that the store holds, expired ones included.
    pub(crate) records: Option<u64>,
    /// The bytes of the store's file, if it has one.
    pub(crate) file: Option<u64>,
    /// The resident bytes of this process: of the callers, and of a store inside it.
    pub(crate) memory: Option<u64>,
    /// The bytes that the store's server uses, if it has one.
    pub(crate) server: Option<u64>,
    /// What the store's table takes, if it has one.
    pub(crate) table: Option<Table>,
    /// The connections of the store to its server, where these can be counted.
    pub(crate) connections: Option<u64>,
    pub(crate) tasks: u64,
    pub(crate) lock_p99: Duration,
}

impl Sample {
    pub(crate) const HEADER: &str =
        "    s   entered   records    file MiB  memory MiB  server MiB  connections  tasks  lock p99 ms";
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none =
            |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let mebibytes = |bytes: Option<u64>| or_none(bytes.map(|bytes| bytes >> 20));
        write!(
            f,
            "{:>9} {:>9} {:>11} {:>11} {:>11} {:>12} {:>6} {:>12.1}",
            self.entered,
            or_none(self.records),
            mebibytes(self.file),
            mebibytes(self.memory),
            mebibytes(self.server),
            or_none(self.connections),
            self.tasks,
            self.lock_p99.as_secs_f64() * 1_000.0,
        )?;
        match self.table {
            None => Ok(()),
            Some(table) => write!(f, "   {table}"),
        }
    }
}
