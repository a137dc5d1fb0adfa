//! The one writer: takes what has queued up, commits it together, answers all of it.
//!
//! A thread of its own, because a durable commit blocks. Callers that come while it commits share the next
//! commit; a lone caller waits for nobody.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use idem_core::Result;
use tokio::sync::watch;

use crate::database::origin::{Origin, Own, Supply};
use crate::database::state::Shared;
use crate::storage::shrink::Shrinking;
use crate::thread;
use crate::writer::closed::Closed;
use crate::writer::commit::transactions::Writes;
use crate::writer::full_disk::CircuitBreaker;
use crate::writer::queue::message::Message;
use crate::writer::queue::priority::QueueReceiver;
use crate::writer::sweep_progress::SweepTurn;

pub(crate) struct Writer {
    pub(crate) queue: QueueReceiver,
    pub(crate) shared: Arc<Shared>,
    /// None where the database is the application's.
    pub(crate) own: Option<Own>,
    /// Only where it is the application's.
    pub(crate) supply: Option<Supply>,
    pub(crate) writes: Writes,
    /// Received, but not part of the last batch.
    pub(crate) held_back: VecDeque<Message>,
    pub(super) last_batch: usize,
    pub(crate) sweep: SweepTurn,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) shrinking: Shrinking,
    /// When it is looked next whether to shrink the file under load.
    pub(crate) next_look: Duration,
}

impl Writer {
    /// Runs until the store is closed or all of its handles are gone; then says how it was closed.
    pub(crate) fn spawn(
        queue: QueueReceiver,
        origin: Origin,
        writes: Writes,
    ) -> Result<watch::Receiver<Option<Closed>>> {
        let shared = Arc::clone(&writes.shared);
        let (own, supply) = origin.parts();
        let this = Self {
            queue,
            shared,
            own,
            supply,
            writes,
            held_back: VecDeque::new(),
            last_batch: 0,
            sweep: SweepTurn::default(),
            breaker: CircuitBreaker::default(),
            shrinking: Shrinking::default(),
            next_look: Duration::ZERO,
        };
        let (closing, closed) = watch::channel(None);
        thread::spawn("idem-redb writer", move || {
            let how = this.run();
            closing.send_replace(Some(Closed(how)));
        })?;
        Ok(closed)
    }
}
