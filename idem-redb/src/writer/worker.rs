//! The one writer: takes what is queued, commits it together, and answers all of it.
//!
//! It has a thread of its own, because a durable commit blocks. Callers that come during a commit share the next one;
//! a lone caller does not wait for others.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use idem_core::Result;
use tokio::sync::watch;

use crate::database::origin::{DatabaseSupplier, Origin, OwnDatabase};
use crate::database::state::StoreState;
use crate::storage::shrink::Shrinking;
use crate::thread;
use crate::writer::closed::Closed;
use crate::writer::commit::transactions::WriteTransactions;
use crate::writer::full_disk::circuit_breaker::CircuitBreaker;
use crate::writer::queue::message::Message;
use crate::writer::queue::priority::QueueReceiver;
use crate::writer::sweep_progress::SweepProgress;

pub(crate) struct Writer {
    pub(crate) queue: QueueReceiver,
    pub(crate) state: Arc<StoreState>,
    /// `None` where the application owns the database.
    pub(crate) own: Option<OwnDatabase>,
    /// Present where the application supplies its database again.
    pub(crate) supplier: Option<DatabaseSupplier>,
    pub(crate) transactions: WriteTransactions,
    /// Messages that were received, but did not fit into the last batch.
    pub(crate) held_back: VecDeque<Message>,
    pub(super) last_batch: usize,
    pub(crate) sweep: SweepProgress,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) shrinking: Shrinking,
    /// When the next check for shrinking the file under load is due.
    pub(crate) next_shrink_check: Duration,
}

impl Writer {
    /// Runs until the store is closed or all of its handles are dropped; then reports how it was closed.
    pub(crate) fn spawn(
        queue: QueueReceiver,
        origin: Origin,
        transactions: WriteTransactions,
    ) -> Result<watch::Receiver<Option<Closed>>> {
        let state = Arc::clone(&transactions.state);
        let closing_state = Arc::clone(&state);
        let (own, supplier) = origin.parts();
        let this = Self {
            queue,
            state,
            own,
            supplier,
            transactions,
            held_back: VecDeque::new(),
            last_batch: 0,
            sweep: SweepProgress::default(),
            breaker: CircuitBreaker::default(),
            shrinking: Shrinking::default(),
            next_shrink_check: Duration::ZERO,
        };
        let (closing, closed) = watch::channel(None);
        thread::spawn("idem-redb writer", move || {
            let how = this.run();
            closing.send_replace(Some(Closed(how)));
            // No commit wakes them any more.
            closing_state.waiters.wake_all();
        })?;
        Ok(closed)
    }
}
