//! A table of a write transaction that is opened when it is first needed.

use redb::{Key, Table, TableDefinition, Value, WriteTransaction};

use crate::error::Failure;

/// To open a table, and to write down its root at the end, costs a commit that does not need it several microseconds.
pub(crate) struct LazyTable<'txn, K: Key + 'static, V: Value + 'static> {
    txn: &'txn WriteTransaction,
    definition: TableDefinition<'static, K, V>,
    table: Option<Table<'txn, K, V>>,
}

impl<'txn, K: Key + 'static, V: Value + 'static> LazyTable<'txn, K, V> {
    pub(crate) fn new(txn: &'txn WriteTransaction, definition: TableDefinition<'static, K, V>) -> Self {
        Self { txn, definition, table: None }
    }

    /// The table, which is open from now on.
    pub(crate) fn open(&mut self) -> Result<&mut Table<'txn, K, V>, Failure> {
        let table = match self.table.take() {
            Some(table) => table,
            None => self.txn.open_table(self.definition)?,
        };
        Ok(self.table.insert(table))
    }
}
