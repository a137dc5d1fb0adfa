//! The writer's transactions: beginning and committing them, and the store's time and sequences.

use std::io;
use std::sync::Arc;

use redb::{Database, TransactionError, WriteTransaction};

use crate::database::state::StoreState;
use crate::error::Failure;
use crate::quick_repair::QuickRepair;
use crate::quota::counting::Counting;
use crate::quota::counts::Counts;
use crate::quota::scope_quota::ScopeQuota;
use crate::storage::records::high_water_mark::HighWaterMark;
use crate::storage::repair::RepairRecord;
use crate::storage::revocable::RevocableStorage;
use crate::storage::setup::{self, Ownership};
use crate::storage::shrink::FileUsage;
use crate::storage::tables::write::Tables;
use crate::storage::transaction;
use crate::writer::commit::step::Step;
use crate::writer::write_turn::turn::WriteTurn;

pub(crate) struct WriteTransactions {
    pub(crate) state: Arc<StoreState>,
    /// The highest sequence given out.
    sequence: u64,
    /// `None` where only the store writes to the database, and has not to wait for the write slot.
    write_turn: Option<WriteTurn>,
    /// The storage of a database of the store's own.
    storage: Option<RevocableStorage>,
    repair_record: RepairRecord,
    counting: Counting,
}

impl WriteTransactions {
    pub(crate) fn of_own_database(
        state: Arc<StoreState>,
        mark: HighWaterMark,
        storage: RevocableStorage,
        quota: Option<ScopeQuota>,
    ) -> Self {
        Self { storage: Some(storage), ..Self::new(state, mark, quota) }
    }

    pub(crate) fn of_shared_database(state: Arc<StoreState>, mark: HighWaterMark) -> Self {
        Self { write_turn: Some(WriteTurn::default()), ..Self::new(state, mark, None) }
    }

    fn new(state: Arc<StoreState>, mark: HighWaterMark, quota: Option<ScopeQuota>) -> Self {
        Self {
            state,
            sequence: mark.sequence,
            write_turn: None,
            storage: None,
            repair_record: RepairRecord::default(),
            counting: Counting::new(quota),
        }
    }

    /// Begins a durable write transaction as the configuration asks for.
    pub(crate) fn begin(&mut self, database: &Arc<Database>) -> Result<WriteTransaction, Failure> {
        let config = &self.state.config;
        let length = self.storage.as_ref().and_then(RevocableStorage::length);
        let available = self.counting.quota().and_then(ScopeQuota::available);
        self.begin_as(database, config.quick_repair.applies(length, available))
    }

    fn begin_as(
        &mut self,
        database: &Arc<Database>,
        quick_repair: bool,
    ) -> Result<WriteTransaction, Failure> {
        self.repair_record.began(quick_repair);
        let Some(write_turn) = &mut self.write_turn else {
            return transaction::begin(database, quick_repair);
        };
        let mut txn = write_turn.begin(database, self.state.config.call_timeout)?;
        transaction::set_commit_options(&mut txn, quick_repair);
        Ok(txn)
    }

    /// Whether one more commit could spare the next opening a repair after a crash.
    pub(crate) fn needs_repair_record(&self) -> bool {
        !self.repair_record.is_current() && self.state.config.quick_repair != QuickRepair::Never
    }

    /// The database was compacted, in commits without quick repair.
    pub(crate) fn compacted(&mut self) {
        self.repair_record.forget();
        if let Some(quota) = self.counting.quota() {
            quota.compacted();
        }
    }

    /// The length of the file and the part in use, where they are known.
    pub(crate) fn file_usage(&self) -> Option<FileUsage> {
        let in_use = self.counting.quota()?.in_use()?;
        Some(FileUsage { length: self.storage.as_ref()?.length()?, in_use })
    }

    /// Commits the high-water mark and the usage alone, with quick repair.
    pub(crate) fn commit_mark(&mut self, database: &Arc<Database>) -> Result<(), Failure> {
        let txn = self.begin_as(database, true)?;
        self.seal(&mut Tables::open(&txn)?)?;
        txn.commit().map_err(Failure::latched)?;
        self.repair_record.committed();
        self.state.slot.committed();
        Ok(())
    }

    /// The tables within `txn`; changes are counted where there is a quota.
    pub(crate) fn tables<'txn>(&self, txn: &'txn WriteTransaction) -> Result<Tables<'txn>, Failure> {
        let mut tables = Tables::open(txn)?;
        if self.counting.quota().is_some() {
            tables.count_changes();
        }
        Ok(tables)
    }

    /// The quota of scopes, where there is one.
    pub(crate) fn quota(&self) -> Option<&ScopeQuota> {
        self.counting.quota()
    }

    /// Begins the step of one transaction on `tables`.
    pub(crate) fn step(&mut self, tables: &Tables<'_>) -> Result<Step, Failure> {
        if self.write_turn.is_some() {
            // Another store may have written to the database since.
            self.advance_to(tables.mark()?);
        }
        // The time is taken once the transaction has begun: an application's own transaction may have delayed it.
        Ok(Step::new(self.mark()))
    }

    /// Writes what every commit records beside its changes, where there are any: the high-water mark, and now and then
    /// the scopes' usage.
    pub(crate) fn finish(&self, step: &Step, tables: &mut Tables<'_>) -> Result<Option<Counts>, Failure> {
        if !step.wrote {
            return Ok(None);
        }
        tables.write_mark(step.mark())?;
        self.counting.write(tables, step.now, self.state.time.source().monotonic())
    }

    /// Writes the high-water mark and the usage into the last commit.
    pub(crate) fn seal(&self, tables: &mut Tables<'_>) -> Result<(), Failure> {
        let mark = self.mark();
        tables.write_mark(mark)?;
        self.counting.write_all(tables, mark.time)
    }

    /// Commits. Sequences of a failed commit are not given out again, since they may be in the file all the same.
    pub(crate) fn commit(
        &mut self,
        step: &Step,
        counts: Option<Counts>,
        txn: WriteTransaction,
    ) -> Result<(), Failure> {
        self.sequence = step.mark().sequence;
        // A commit that fails may be on the disk all the same.
        self.repair_record.forget();
        txn.commit().map_err(Failure::latched)?;
        self.repair_record.committed();
        self.counting.committed(counts);
        self.state.slot.committed();
        Ok(())
    }

    /// The database was reopened on `storage`.
    pub(crate) fn reopened_on(&mut self, storage: RevocableStorage) {
        self.repair_record.forget();
        self.storage = Some(storage);
        self.counting.opened_again();
    }

    /// A write ran out of space.
    pub(crate) fn ran_out_of_space(&self) {
        if let Some(quota) = self.counting.quota() {
            quota.ran_out_of_space();
        }
    }

    /// Raises time and sequences to those of a database.
    pub(crate) fn advance_to(&mut self, mark: HighWaterMark) {
        self.sequence = self.sequence.max(mark.sequence);
        self.state.time.raise(mark.clock());
    }

    /// The store's high-water mark now.
    pub(crate) fn mark(&self) -> HighWaterMark {
        let time = &self.state.time;
        HighWaterMark::new(time.mark(time.now()), self.sequence)
    }

    /// redb reports an I/O error once, and afterwards only that there was one. The storage knows whether it was a full
    /// disk.
    pub(crate) fn explain(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Redb(redb::Error::PreviousIo)
                if self.storage.as_ref().is_some_and(RevocableStorage::take_out_of_space) =>
            {
                Failure::Redb(redb::Error::Io(io::ErrorKind::StorageFull.into()))
            }
            failure => failure,
        }
    }

    /// Adopts another database of the application.
    pub(crate) fn adopt(&mut self, database: &Arc<Database>) -> Result<(), Failure> {
        let mut write_turn = WriteTurn::default();
        let txn = write_turn.begin(database, self.state.config.call_timeout)?;
        setup::adopt(txn, Ownership::SharedReopened, |mark| {
            self.advance_to(mark);
            Ok(self.mark())
        })?;
        self.write_turn = Some(write_turn);
        self.counting.adopted();
        Ok(())
    }

    /// Adopts the database that the application reopened: the same one, which may have no room to write to.
    pub(crate) fn adopt_again(&mut self, database: &Arc<Database>) -> Result<(), Failure> {
        let mut write_turn = WriteTurn::default();
        let txn = write_turn.begin(database, self.state.config.call_timeout)?;
        let mark = setup::check_reopened(txn)?;
        self.write_turn = Some(write_turn);
        self.advance_to(mark);
        Ok(())
    }

    /// Whether a closure that has just run blocks a database of the store's own from ever being written to again.
    pub(crate) fn is_blocked(&mut self, database: &Arc<Database>) -> bool {
        match &mut self.write_turn {
            None => matches!(database.try_begin_write(), Err(TransactionError::WouldBlock)),
            Some(write_turn) => {
                write_turn.suspect_if_taken(database);
                false
            }
        }
    }
}
