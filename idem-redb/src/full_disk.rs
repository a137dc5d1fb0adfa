//! What is let through while the disk is full.
//!
//! Each failure for lack of room makes redb refuse everything until it is opened anew. So once there was no room,
//! calls that need some are refused without being tried, and one at a time is let through now and then, to see
//! whether there is room again.

use std::time::Duration;

use idem_core::decide::Call;
use idem_core::{Error, ErrorKind, Operation};

use crate::batch::Batch;
use crate::error::{Away, Failure};
use crate::queue::QueuedCall;

/// Pauses between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A disk that is full again so soon was full all the time, apart from a little: the pauses go on where they were.
const SAME_SHORTAGE: Duration = Duration::from_secs(10);
/// The largest outcome that free pages of the file are likely to hold.
const LITTLE: usize = 16 << 10;

pub(crate) const FULL: Away = Away::because(
    ErrorKind::Full,
    "the disk is full; nothing already kept is lost, and the store tries by itself whether there is room again",
);

/// How much is let through.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    shortage: Option<Shortage>,
    /// The pause of the last shortage, and when it ended.
    before: Option<(Duration, Duration)>,
}

#[derive(Debug)]
struct Shortage {
    pause: Duration,
    next_try: Duration,
    /// Whether even calls that need little found no room.
    is_total: bool,
    /// How many calls were let through to see whether there is room.
    probes: usize,
}

/// What a batch was let through as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Let {
    /// There is room, as far as anybody knows.
    Through,
    /// It needs little.
    ThroughAsLittle,
    /// To see whether there is room.
    ThroughAsProbe,
}

impl Admission {
    /// Refuses what has no chance, and returns what is to be tried, in this order.
    pub(crate) fn admit(&mut self, batch: Batch, now: Duration) -> Vec<(Batch, Let)> {
        let Some(shortage) = &mut self.shortage else { return vec![(batch, Let::Through)] };
        let is_due = now >= shortage.next_try;
        let (little, mut much): (Vec<_>, Vec<_>) = batch.calls.into_iter().partition(needs_little);
        let mut little = Batch { calls: little, bite: batch.bite };
        let mut admitted = Vec::new();
        if little.len() > 0 && (is_due || !shortage.is_total) {
            admitted.push((std::mem::take(&mut little), Let::ThroughAsLittle));
        }
        if is_due && (admitted.is_empty() || !shortage.is_total) && !much.is_empty() {
            // In turn, so that neither a large outcome nor new locks keep the others from being tried.
            let locks_first = shortage.probes % 2 == 1;
            let is_first = |queued: &QueuedCall| matches!(queued.call, Call::Lock { .. }) == locks_first;
            let probe = much.swap_remove(much.iter().position(is_first).unwrap_or(0));
            shortage.probes += 1;
            admitted.push((Batch { calls: vec![probe], bite: Vec::new() }, Let::ThroughAsProbe));
        }
        Batch { calls: much, bite: Vec::new() }.refuse(full);
        little.refuse(full);
        admitted
    }

    pub(crate) fn is_short(&self) -> bool {
        self.shortage.is_some()
    }

    /// Whether a closure of the application's may be run, of which nobody knows how much room it needs.
    pub(crate) fn admit_transaction(&mut self, now: Duration) -> Option<Let> {
        match &self.shortage {
            None => Some(Let::Through),
            Some(shortage) => (now >= shortage.next_try).then_some(Let::ThroughAsProbe),
        }
    }

    /// Takes in what became of it, and whether it wrote: what wrote nothing does not show that there is room.
    pub(crate) fn ended(&mut self, let_as: Let, done: Result<bool, &Failure>, now: Duration) {
        match (done, &mut self.shortage) {
            (Err(failure), None) if failure.is_full() => {
                let again = self.before.filter(|(_, ended)| now.saturating_sub(*ended) < SAME_SHORTAGE);
                let pause = again.map_or(FIRST_PAUSE, |(pause, _)| longer(pause));
                self.shortage = Some(Shortage { pause, next_try: now + pause, is_total: false, probes: 0 });
                tracing::warn!("the disk is full: what needs room is refused");
            }
            (Err(failure), Some(shortage)) if failure.is_full() => {
                shortage.is_total |= let_as == Let::ThroughAsLittle;
                shortage.pause = longer(shortage.pause);
                shortage.next_try = now + shortage.pause;
            }
            (Ok(true), Some(shortage)) if let_as == Let::ThroughAsProbe => {
                self.before = Some((shortage.pause, now));
                self.shortage = None;
                tracing::warn!("there is room on the disk again");
            }
            (Ok(true), Some(shortage)) => shortage.is_total = false,
            _ => {}
        }
    }
}

/// What is tried again of a batch that is the first to find no room: what needs little may have met that only by the
/// company that it was in.
pub(crate) fn retried(batch: &mut Batch, let_as: Let) -> Vec<QueuedCall> {
    if let_as != Let::Through {
        return Vec::new();
    }
    let (little, much) = std::mem::take(&mut batch.calls).into_iter().partition(needs_little);
    batch.calls = much;
    little
}

/// Whether it gives room back, or needs so little that free pages of the file are likely to do.
fn needs_little(queued: &QueuedCall) -> bool {
    match &queued.call {
        Call::Lock { .. } | Call::Checkpoint { .. } => false,
        Call::Complete { outcome, .. } => outcome.size() <= LITTLE,
        _ => true,
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

fn full(operation: Operation) -> Error {
    FULL.error(operation)
}
