//! A call that waits for its answer.

use std::time::Duration;

use idem_core::Result;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::keys::SetAside;
use crate::batch::Batch;

/// Bytes of one statement's outcomes and checkpoints, unless a single call has more.
const MAX_BYTES: usize = 4 << 20;
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Entry<B: Batch> {
    pub(super) call: B,
    pub(super) deadline: Instant,
    /// Not before: it was sent, without an answer.
    pub(super) not_before: Instant,
    pub(super) answer: oneshot::Sender<Result<B::Answer>>,
    /// While other calls on its key are to go the same way.
    pub(super) set_aside: Option<SetAside>,
    /// How often it was sent without an answer.
    resent: u32,
}

impl<B: Batch> Entry<B> {
    pub(super) fn new(call: B, deadline: Instant, answer: oneshot::Sender<Result<B::Answer>>) -> Self {
        Self { call, deadline, not_before: Instant::now(), answer, set_aside: None, resent: 0 }
    }

    /// The same call, later: at once the first time, then after pauses that double.
    pub(super) fn again(mut self) -> Self {
        let pause = match self.resent {
            0 => Duration::ZERO,
            times => LONGEST_PAUSE.min(SHORTEST_PAUSE * (1 << times.min(10))),
        };
        self.resent += 1;
        self.not_before = Instant::now() + pause;
        self
    }

    /// Whether its caller still waits.
    pub(super) fn is_wanted(&self, now: Instant) -> bool {
        self.deadline > now && !self.answer.is_closed()
    }
}

/// Those that go now, at most `max_calls`, each key once and in the order of keys, so that two batches never wait for each
/// other in a circle; and those that go later.
pub(super) fn choose<B: Batch>(
    entries: impl Iterator<Item = Entry<B>>,
    max_calls: usize,
    now: Instant,
) -> (Vec<Entry<B>>, Vec<Entry<B>>) {
    let mut batch: Vec<Entry<B>> = Vec::new();
    let mut later = Vec::new();
    let mut bytes = 0;
    for entry in entries.filter(|entry| entry.is_wanted(now)) {
        let size = entry.call.size();
        let fits = batch.is_empty() || (batch.len() < max_calls && bytes + size <= MAX_BYTES);
        let key = entry.call.key().storage_key();
        match batch.binary_search_by(|chosen| chosen.call.key().storage_key().cmp(key)) {
            Err(at) if fits && entry.not_before <= now => {
                bytes += size;
                batch.insert(at, entry);
            }
            _ => later.push(entry),
        }
    }
    (batch, later)
}
