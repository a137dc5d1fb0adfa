//! Recovering from a failure after which redb refuses work: the writer reopens the database.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use idem_core::clock::{Clock, SystemClock};
use idem_core::error::Operation;
use idem_core::{ErrorKind, Result};
use redb::Database;
use tokio::sync::mpsc::error::TryRecvError;

use crate::database::origin::{DatabaseSupplier, OwnDatabase};
use crate::error::{Away, Failure, unavailable};
use crate::storage::guard::{drop_guarded, guarded};
use crate::storage::open::{self, Opened};
use crate::writer::queue::message::{Message, refuse};
use crate::writer::worker::Writer;

pub(crate) const AFTER_A_LEAK: Away =
    Away::transient("the database is being opened again, since a closure of complete_with leaked a table");
const AFTER_AN_ERROR: Away = Away::transient("the database is being opened again after an I/O error");
const TO_BE_REPLACED: Away = Away::new(
    ErrorKind::Unavailable,
    "the shared database failed: open it again, and supply it with replace_database",
);

/// Pauses between attempts to reopen the database.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long reads wait for a database that the application reopens.
const READS_WAIT: Duration = Duration::from_millis(500);

impl Writer {
    /// Reopens the database where `done` is a failure after which redb refuses every write.
    pub(crate) fn recover(&mut self, done: Result<(), Failure>) {
        match done {
            Err(failure) if failure.is_full() && self.own.is_some() => {
                self.transactions.ran_out_of_space();
                self.open_in_place();
            }
            Err(failure) if failure.needs_reopen() && self.own.is_some() => self.open_again(&AFTER_AN_ERROR),
            Err(failure) if failure.needs_reopen() && self.supplier.is_some() => self.reopen_supplied(),
            Err(failure) if failure.needs_reopen() => {
                let failed = self.state.slot.take(TO_BE_REPLACED);
                drop_guarded(failed);
                tracing::error!("the shared database failed; the application must supply it anew");
            }
            _ => {}
        }
    }

    /// Closes and reopens the database, with as many attempts as it takes; meanwhile calls are refused with `why`.
    pub(crate) fn open_again(&mut self, why: &Away) {
        let Some(mut own) = self.own.take() else { return };
        let failed = self.state.slot.take(why.clone());
        drop_guarded(failed);
        // A leaked table would keep the storage and its lock forever.
        let _closed = guarded(|| own.storage.revoke().map_err(|error| Failure::Redb(error.into())));
        let mut pause = FIRST_PAUSE;
        while self.state.has_file()
            && let Err(error) = self.reopen(&mut own)
        {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the database cannot be opened again yet"
            );
            let why = why.clone().prolonged(&error);
            self.state.slot.explain(why.clone());
            if !self.refuse_for(pause, &why) {
                break;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.own = Some(own);
    }

    /// Reopens the database on the storage that it uses. The old database stays in the slot until then: it still
    /// serves reads from its cache, and other reads wait.
    fn open_in_place(&mut self) {
        let Some(mut own) = self.own.take() else { return };
        let opened = match own.storage.pass_on() {
            Some(storage) => {
                own.storage = storage.clone();
                open::open_in_place(&self.state.config, storage)
            }
            None => Err(unavailable("the storage was closed", Operation::Open)),
        };
        match opened {
            Ok(opened) => {
                self.adopt(opened);
                tracing::debug!("the database was opened again in its place");
                self.own = Some(own);
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the database cannot be opened again in its place"
                );
                self.own = Some(own);
                self.open_again(&AFTER_AN_ERROR);
            }
        }
    }

    /// Lets the application reopen its database, with as many attempts as it takes. The application may still be using
    /// the old one for a moment, so reads wait for some attempts.
    fn reopen_supplied(&mut self) {
        let Some(supplier) = self.supplier.take() else { return };
        let failed = self.state.slot.take(AFTER_AN_ERROR);
        drop_guarded(failed);
        let (mut pause, begun) = (FIRST_PAUSE, SystemClock.monotonic());
        loop {
            let adopted = call_supplier(&supplier).map_err(Failure::Record).and_then(|database| {
                guarded(|| self.transactions.adopt_again(&database))?;
                Ok(database)
            });
            let error = match adopted {
                Ok(database) => {
                    self.state.slot.put(database);
                    tracing::warn!("the application's database was opened again");
                    break;
                }
                Err(failure) => failure.into_error(Operation::Open),
            };
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the application's database cannot be opened again yet"
            );
            let mut why = AFTER_AN_ERROR;
            if SystemClock.monotonic().saturating_sub(begun) >= READS_WAIT {
                why = why.prolonged(&error);
                self.state.slot.explain(why.clone());
            }
            if !self.refuse_for(pause, &why) {
                break;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.supplier = Some(supplier);
    }

    fn reopen(&mut self, own: &mut OwnDatabase) -> Result<()> {
        let opened = (own.reopen)()?;
        // The file was replaced: the new one is another store, with holders of its own.
        if let (Some(before), Some(now)) = (&self.state.identity, &opened.identity)
            && !before.is_same(now)
        {
            self.state.slot.mark_lost(before.lost());
            drop_guarded(opened);
            return Ok(());
        }
        own.storage = opened.storage.clone();
        self.adopt(opened);
        tracing::warn!("the database was opened again");
        Ok(())
    }

    fn adopt(&mut self, opened: Opened) {
        self.transactions.advance_to(opened.mark);
        self.transactions.reopened_on(opened.storage);
        self.state.slot.put(opened.database.into());
    }

    fn refuse(&self, message: Message, why: &Away) {
        if matches!(message, Message::Reopen) {
            // This is the check that was requested; the next failed read may request another.
            self.state.slot.swap_check_requested(false);
        }
        refuse(message, why);
    }

    /// Refuses all messages that come within `pause`; false when the store was closed meanwhile.
    fn refuse_for(&mut self, pause: Duration, why: &Away) -> bool {
        const STEP: Duration = Duration::from_millis(5);
        let mut waited = Duration::ZERO;
        loop {
            while let Some(message) = self.held_back.pop_front() {
                if matches!(message, Message::Close) {
                    self.held_back.push_front(message);
                    return false;
                }
                self.refuse(message, why);
            }
            loop {
                match self.queue.try_recv() {
                    Ok(Message::Close) => {
                        self.held_back.push_front(Message::Close);
                        return false;
                    }
                    Ok(message) => self.refuse(message, why),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return false,
                }
            }
            self.sweep.refuse(&mut self.queue, why);
            if waited >= pause {
                return true;
            }
            thread::sleep(STEP);
            waited += STEP;
        }
    }
}

/// A panic in the application's code is no damage of the database.
fn call_supplier(supplier: &DatabaseSupplier) -> Result<Arc<Database>> {
    catch_unwind(AssertUnwindSafe(supplier))
        .unwrap_or_else(|_| Err(unavailable("opening the application's database panicked", Operation::Open)))
}
