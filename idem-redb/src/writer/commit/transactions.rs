//! The writer's transactions: how they begin, and how far time and sequences have come with them.

use std::io;
use std::sync::Arc;

use redb::{Database, TransactionError, WriteTransaction};

use crate::database::state::Shared;
use crate::error::Failure;
use crate::quick_repair::QuickRepair;
use crate::quota::counting::Counting;
use crate::quota::counts::Counts;
use crate::quota::scope_quota::Share;
use crate::storage::records::high_water_mark::Mark;
use crate::storage::repair::Spared;
use crate::storage::revocable::Lent;
use crate::storage::setup::{self, Ownership};
use crate::storage::shrink::Use;
use crate::storage::tables::write::Tables;
use crate::storage::transaction;
use crate::writer::commit::step::Step;
use crate::writer::write_turn::turn::WriteTurn;

pub(crate) struct Writes {
    pub(crate) shared: Arc<Shared>,
    /// The highest sequence given out.
    sequence: u64,
    /// None where the database is ours alone: then nobody is to be waited for.
    turn: Option<WriteTurn>,
    /// What a database of ours stands on.
    storage: Option<Lent>,
    spared: Spared,
    counting: Counting,
}

impl Writes {
    pub(crate) fn own(shared: Arc<Shared>, mark: Mark, storage: Lent, share: Option<Share>) -> Self {
        Self { storage: Some(storage), ..Self::new(shared, mark, share) }
    }

    pub(crate) fn beside_others(shared: Arc<Shared>, mark: Mark) -> Self {
        Self { turn: Some(WriteTurn::default()), ..Self::new(shared, mark, None) }
    }

    fn new(shared: Arc<Shared>, mark: Mark, share: Option<Share>) -> Self {
        Self {
            shared,
            sequence: mark.sequence,
            turn: None,
            storage: None,
            spared: Spared::default(),
            counting: Counting::new(share),
        }
    }

    /// A durable write transaction, as the configuration asks for it.
    pub(crate) fn begin(&mut self, database: &Arc<Database>) -> Result<WriteTransaction, Failure> {
        let config = &self.shared.config;
        let length = self.storage.as_ref().and_then(Lent::length);
        let left = self.counting.share().and_then(Share::left);
        self.begin_as(database, config.quick_repair.applies(length, left))
    }

    fn begin_as(
        &mut self,
        database: &Arc<Database>,
        quick_repair: bool,
    ) -> Result<WriteTransaction, Failure> {
        self.spared.began(quick_repair);
        let Some(turn) = &mut self.turn else { return transaction::begin(database, quick_repair) };
        let mut txn = turn.begin(database, self.shared.config.call_timeout)?;
        transaction::as_asked(&mut txn, quick_repair);
        Ok(txn)
    }

    /// Whether a crash now would cost the next opening a repair that a commit more could spare it.
    pub(crate) fn can_spare_repair(&self) -> bool {
        !self.spared.is_spared() && self.shared.config.quick_repair != QuickRepair::Never
    }

    /// The database was compacted, in commits that spare nobody a repair.
    pub(crate) fn compacted(&mut self) {
        self.spared.forget();
        if let Some(share) = self.counting.share() {
            share.compacted();
        }
    }

    /// How large the file is, and what of it is in use, where anybody knows.
    pub(crate) fn usage(&self) -> Option<Use> {
        let in_use = self.counting.share()?.in_use()?;
        Some(Use { length: self.storage.as_ref()?.length()?, in_use })
    }

    /// Commits what every commit tells beside its records, and what spares the next opening a repair.
    pub(crate) fn commit_mark(&mut self, database: &Arc<Database>) -> Result<(), Failure> {
        let txn = self.begin_as(database, true)?;
        self.seal(&mut Tables::open(&txn)?)?;
        txn.commit().map_err(Failure::latched)?;
        self.spared.committed();
        self.shared.slot.committed();
        Ok(())
    }

    /// The tables within `txn`, in which changes are counted where anybody wants to know.
    pub(crate) fn tables<'txn>(&self, txn: &'txn WriteTransaction) -> Result<Tables<'txn>, Failure> {
        let mut tables = Tables::open(txn)?;
        if self.counting.share().is_some() {
            tables.count_changes();
        }
        Ok(tables)
    }

    /// What scopes hold, where it is counted.
    pub(crate) fn share(&self) -> Option<&Share> {
        self.counting.share()
    }

    /// What one transaction on `tables` does.
    pub(crate) fn step(&mut self, tables: &Tables<'_>) -> Result<Step, Failure> {
        if self.turn.is_some() {
            // Another store may have written to the database since.
            self.found(tables.mark()?);
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
        self.counting.write(tables, step.now, self.shared.time.source().monotonic())
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
        self.spared.forget();
        txn.commit().map_err(Failure::latched)?;
        self.spared.committed();
        self.counting.committed(counts);
        self.shared.slot.committed();
        Ok(())
    }

    /// The database was opened anew, on this storage.
    pub(crate) fn stands_on(&mut self, storage: Lent) {
        self.spared.forget();
        self.storage = Some(storage);
        self.counting.opened_again();
    }

    /// A write found no room.
    pub(crate) fn met_full(&self) {
        if let Some(share) = self.counting.share() {
            share.met_full();
        }
    }

    /// Takes in how far a database had come.
    pub(crate) fn found(&mut self, mark: Mark) {
        self.sequence = self.sequence.max(mark.sequence);
        self.shared.time.raise(mark.clock());
    }

    /// How far the store has come now.
    pub(crate) fn mark(&self) -> Mark {
        let time = &self.shared.time;
        Mark::new(time.mark(time.now()), self.sequence)
    }

    /// redb tells of an error once, and then only that there was one. Whether that was for lack of room, the storage knows.
    pub(crate) fn explained(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Redb(redb::Error::PreviousIo)
                if self.storage.as_ref().is_some_and(Lent::take_was_full) =>
            {
                Failure::Redb(redb::Error::Io(io::ErrorKind::StorageFull.into()))
            }
            failure => failure,
        }
    }

    /// Takes over another database of the application's.
    pub(crate) fn adopt(&mut self, database: &Arc<Database>) -> Result<(), Failure> {
        let mut turn = WriteTurn::default();
        let txn = turn.begin(database, self.shared.config.call_timeout)?;
        setup::adopt(txn, Ownership::SharedAgain, |mark| {
            self.found(mark);
            Ok(self.mark())
        })?;
        self.turn = Some(turn);
        self.counting.adopted();
        Ok(())
    }

    /// Takes over the database that the application opened anew: the same one, which may have no room to write to.
    pub(crate) fn adopt_again(&mut self, database: &Arc<Database>) -> Result<(), Failure> {
        let mut turn = WriteTurn::default();
        let txn = turn.begin(database, self.shared.config.call_timeout)?;
        let mark = setup::found_again(txn)?;
        self.turn = Some(turn);
        self.found(mark);
        Ok(())
    }

    /// Whether a closure that has just run keeps a database of ours from being written to, for ever.
    pub(crate) fn is_blocked(&mut self, database: &Arc<Database>) -> bool {
        match &mut self.turn {
            None => matches!(database.try_begin_write(), Err(TransactionError::WouldBlock)),
            Some(turn) => {
                turn.look(database);
                false
            }
        }
    }
}
