//! Opening the database again, by the writer, when redb works no more until then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use idem_core::clock::{Clock, SystemClock};
use idem_core::error::Operation;
use idem_core::{ErrorKind, Result};
use redb::Database;
use tokio::sync::mpsc::error::TryRecvError;

use crate::database::origin::{Own, Supply};
use crate::error::{Away, Failure, away};
use crate::storage::guard::{guarded, let_go};
use crate::storage::open::{self, Opened};
use crate::writer::queue::message::{Message, refuse};
use crate::writer::worker::Writer;

pub(crate) const AFTER_A_LEAK: Away =
    Away::for_a_moment("the database is being opened again, since a closure of complete_with leaked a table");
const AFTER_AN_ERROR: Away = Away::for_a_moment("the database is being opened again after an I/O error");
const TO_BE_REPLACED: Away = Away::because(
    ErrorKind::Unavailable,
    "the shared database failed: open it again, and supply it with replace_database",
);

/// Pauses between attempts to open the database again.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long reads wait for a database that the application opens.
const PATIENCE_OF_READS: Duration = Duration::from_millis(500);

impl Writer {
    /// Opens the database again where `done` says that redb refuses every write until then.
    pub(crate) fn recover(&mut self, done: Result<(), Failure>) {
        match done {
            Err(failure) if failure.is_full() && self.own.is_some() => {
                self.writes.met_full();
                self.open_in_place();
            }
            Err(failure) if failure.needs_reopen() && self.own.is_some() => self.open_again(&AFTER_AN_ERROR),
            Err(failure) if failure.needs_reopen() && self.supply.is_some() => self.ask_for_another(),
            Err(failure) if failure.needs_reopen() => {
                let failed = self.shared.slot.take(TO_BE_REPLACED);
                let_go(failed);
                tracing::error!("the shared database failed; the application must supply it anew");
            }
            _ => {}
        }
    }

    /// Closes the database and opens it again, however often that takes; meanwhile all are told `why`.
    pub(crate) fn open_again(&mut self, why: &Away) {
        let Some(mut own) = self.own.take() else { return };
        let failed = self.shared.slot.take(why.clone());
        let_go(failed);
        // A leaked table would keep the storage, and its lock, for ever.
        let _closed = guarded(|| own.storage.take_back().map_err(|error| Failure::Redb(error.into())));
        let mut pause = FIRST_PAUSE;
        while self.shared.has_file()
            && let Err(error) = self.reopen(&mut own)
        {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the database cannot be opened again yet"
            );
            let why = why.clone().lasting(&error);
            self.shared.slot.explain(why.clone());
            if !self.refuse_for(pause, &why) {
                break;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.own = Some(own);
    }

    /// Opens the database anew on the storage that it stands on. The old one stays in its place until then: what it has
    /// in its cache it still reads, and reads of the rest wait.
    fn open_in_place(&mut self) {
        let Some(mut own) = self.own.take() else { return };
        let opened = match own.storage.pass_on() {
            Some(storage) => {
                own.storage = storage.clone();
                open::open_in_place(&self.shared.config, storage)
            }
            None => Err(away("the storage was closed", Operation::Open)),
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

    /// Lets the application open its database anew, however often that takes. It may be at work with the old one for a
    /// moment longer, so reads wait for some attempts.
    fn ask_for_another(&mut self) {
        let Some(supply) = self.supply.take() else { return };
        let failed = self.shared.slot.take(AFTER_AN_ERROR);
        let_go(failed);
        let (mut pause, begun) = (FIRST_PAUSE, SystemClock.monotonic());
        loop {
            let adopted = ask(&supply).map_err(Failure::Record).and_then(|database| {
                guarded(|| self.writes.adopt_again(&database))?;
                Ok(database)
            });
            let error = match adopted {
                Ok(database) => {
                    self.shared.slot.put(database);
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
            if SystemClock.monotonic().saturating_sub(begun) >= PATIENCE_OF_READS {
                why = why.lasting(&error);
                self.shared.slot.explain(why.clone());
            }
            if !self.refuse_for(pause, &why) {
                break;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.supply = Some(supply);
    }

    fn reopen(&mut self, own: &mut Own) -> Result<()> {
        let opened = (own.reopen)()?;
        // Replaced since: the other file is another store, with holders of its own.
        if let (Some(before), Some(now)) = (&self.shared.identity, &opened.identity)
            && !before.is_same(now)
        {
            self.shared.slot.lose(before.lost());
            let_go(opened);
            return Ok(());
        }
        own.storage = opened.storage.clone();
        self.adopt(opened);
        tracing::warn!("the database was opened again");
        Ok(())
    }

    fn adopt(&mut self, opened: Opened) {
        self.writes.found(opened.mark);
        self.writes.stands_on(opened.storage);
        self.shared.slot.put(opened.database.into());
    }

    fn refuse(&self, message: Message, why: &Away) {
        if matches!(message, Message::Reopen) {
            // It is being done; the next read that fails may ask again.
            self.shared.slot.swap_look_asked(false);
        }
        refuse(message, why);
    }

    /// Refuses all that comes within `pause`; false when the store was closed meanwhile.
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

/// A panic in the application's code is its own, and no damage of the database.
fn ask(supply: &Supply) -> Result<Arc<Database>> {
    catch_unwind(AssertUnwindSafe(supply))
        .unwrap_or_else(|_| Err(away("opening the application's database panicked", Operation::Open)))
}
