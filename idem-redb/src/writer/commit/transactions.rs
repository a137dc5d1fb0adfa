//! The writer's transactions: how they begin, and how far time and sequences have come with them.

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
    /// None where the database is ours alone: then nobody is to be waited for.
    write_turn: Option<WriteTurn>,
    /// What a database of ours stands on.
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

    /// A durable write transaction, as the configuration asks for it.
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

    /// Whether a crash now would cost the next opening a repair that a commit more could spare it.
    pub(crate) fn needs_repair_record(&self) -> bool {
        !self.repair_record.is_current() && self.state.config.quick_repair != QuickRepair::Never
    }

    /// The database was compacted, in commits that spare nobody a repair.
    pub(crate) fn compacted(&mut self) {
        self.repair_record.forget();
        if let Some(quota) = self.counting.quota() {
            quota.compacted();
        }
    }

    /// How large the file is, and what of it is in use, where anybody knows.
    pub(crate) fn file_usage(&self) -> Option<FileUsage> {
        let in_use = self.counting.quota()?.in_use()?;
        Some(FileUsage { length: self.storage.as_ref()?.length()?, in_use })
    }

    /// Commits what every commit tells beside its records, and what spares the next opening a repair.
    pub(crate) fn commit_mark(&mut self, database: &Arc<Database>) -> Result<(), Failure> {
        let txn = self.begin_as(database, true)?;
        self.seal(&mut Tables::open(&txn)?)?;
        txn.commit().map_err(Failure::latched)?;
        self.repair_record.committed();
        self.state.slot.committed();
        Ok(())
    }

    /// The tables within `txn`, in which changes are counted where anybody wants to know.
    pub(crate) fn tables<'txn>(&self, txn: &'txn WriteTransaction) -> Result<Tables<'txn>, Failure> {
        let mut tables = Tables::open(txn)?;
        if self.counting.quota().is_some() {
            tables.count_changes();
        }
        Ok(tables)
    }

    /// What scopes hold, where it is counted.
    pub(crate) fn quota(&self) -> Option<&ScopeQuota> {
        self.counting.quota()
    }

    /// What one transaction on `tables` does.
    pub(crate) fn step(&mut self, tables: &Tables<'_>) -> Result<Step, Failure> {
        if self.write_turn.is_some() {
            // Another store may have written to the database since.
            self.advance_to(tables.mark()?);
        }
        // Taken once the database is ours: an application's own transaction may have kept us waiting.
        Ok(Step::new(self.mark()))
    }

    /// Writes what every commit tells beside its records, where there are any: how far the store has come, and now and
    /// then what the scopes hold.
    pub(crate) fn finish(&self, step: &Step, tables: &mut Tables<'_>) -> Result<Option<Counts>, Failure> {
        if !step.wrote {
            return Ok(None);
        }
        tables.write_mark(step.mark())?;
        self.counting.write(tables, step.now, self.state.time.source().monotonic())
    }

    /// Writes the same into the last commit.
    pub(crate) fn seal(&self, tables: &mut Tables<'_>) -> Result<(), Failure> {
        let mark = self.mark();
        tables.write_mark(mark)?;
        self.counting.write_all(tables, mark.time)
    }

    /// What was given out in a commit that failed may be in the file all the same, so it is not given out again.
    pub(crate) fn commit(
        &mut self,
        step: &Step,
        counts: Option<Counts>,
        txn: WriteTransaction,
    ) -> Result<(), Failure> {
        self.sequence = step.mark().sequence;
        // One that fails may be on the disk all the same.
        self.repair_record.forget();
        txn.commit().map_err(Failure::latched)?;
        self.repair_record.committed();
        self.counting.committed(counts);
        self.state.slot.committed();
        Ok(())
    }

    /// The database was opened anew, on this storage.
    pub(crate) fn reopened_on(&mut self, storage: RevocableStorage) {
        self.repair_record.forget();
        self.storage = Some(storage);
        self.counting.opened_again();
    }

    /// A write found no room.
    pub(crate) fn ran_out_of_space(&self) {
        if let Some(quota) = self.counting.quota() {
            quota.ran_out_of_space();
        }
    }

    /// Takes in how far a database had come.
    pub(crate) fn advance_to(&mut self, mark: HighWaterMark) {
        self.sequence = self.sequence.max(mark.sequence);
        self.state.time.raise(mark.clock());
    }

    /// How far the store has come now.
    pub(crate) fn mark(&self) -> HighWaterMark {
        let time = &self.state.time;
        HighWaterMark::new(time.mark(time.now()), self.sequence)
    }

    /// redb tells of an error once, and then only that there was one. Whether that was for lack of room, the storage knows.
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

    /// Takes over another database of the application's.
    pub(crate) fn adopt(&mut self, database: &Arc<Database>) -> Result<(), Failure> {
        let mut write_turn = WriteTurn::default();
        let txn = write_turn.begin(database, self.state.config.call_timeout)?;
        setup::adopt(txn, Ownership::SharedAgain, |mark| {
            self.advance_to(mark);
            Ok(self.mark())
        })?;
        self.write_turn = Some(write_turn);
        self.counting.adopted();
        Ok(())
    }

    /// Takes over the database that the application opened anew: the same one, which may have no room to write to.
    pub(crate) fn adopt_again(&mut self, database: &Arc<Database>) -> Result<(), Failure> {
        let mut write_turn = WriteTurn::default();
        let txn = write_turn.begin(database, self.state.config.call_timeout)?;
        let mark = setup::check_reopened(txn)?;
        self.write_turn = Some(write_turn);
        self.advance_to(mark);
        Ok(())
    }

    /// Whether a closure that has just run keeps a database of ours from being written to, for ever.
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
