//! The rules for a history, and the result of checking it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::callers::load::CALL_TIMEOUT;
use crate::judge::history::{Event, Micros};

/// How late a call may be because other processes use the CPU.
const SLACK: Duration = Duration::from_secs(2);

/// What is required of a history beyond the contract, and what the round did that excuses something.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// No call may take longer.
    pub(crate) longest_call: Micros,
    /// Whether reads and refusals must be up to date too. A master that does not know yet that it was replaced answers
    /// from its own state. Such an answer grants nothing, so on its own it violates nothing.
    pub(crate) reads: Reads,
    /// Whether a key's sequences rise from attempt to attempt also where its record was removed in between.
    pub(crate) strict_sequence: bool,
    /// Whether calls may be refused because the server's disk is full.
    pub(crate) disk_was_full: bool,
    /// When the server's clock was set forward.
    pub(crate) steps: Vec<Step>,
}

/// The server's clock was set forward between two moments, by no more than `by`: leases and outcomes end that much earlier.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) from: Micros,
    pub(crate) until: Micros,
    pub(crate) by: Micros,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    MayBeStale,
    AreFresh,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Rule {
    /// Two tokens hold a key at one time.
    SecondHolder,
    /// Two tokens have completed a key at one time.
    SecondCompletion,
    /// One token has completed a key and another holds it.
    HeldAfterCompletion,
    /// A call of a holder whose lease is live reports the lease as lost.
    LostLease,
    /// A completion is acknowledged, and refused later.
    LostCompletion,
    /// A replay that differs from the accepted outcome or from another replay, or whose outcome no caller sent.
    WrongOutcome,
    /// A request with another fingerprint gets an outcome.
    WrongFingerprint,
    /// An attempt after an unfinished one has a wrong number, sequence or checkpoint.
    ForgottenAttempt,
    /// A holder is given a checkpoint that no caller saved.
    WrongCheckpoint,
    /// A later attempt has a lower sequence, where sequences rise across a removal too.
    FallenFence,
    /// A stale answer, where that is not allowed.
    StaleRead,
    /// A call took too long.
    Slow,
    /// An error that no call should return.
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) rule: Rule,
    pub(crate) key: u32,
    pub(crate) what: String,
}

/// The result of checking a history.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    pub(crate) calls: usize,
    /// Tokens that acquired a key.
    pub(crate) acquired: usize,
    /// Tokens with an accepted completion.
    pub(crate) completed: usize,
    pub(crate) unknown: usize,
    /// Calls refused because the disk was full.
    pub(crate) full: usize,
    pub(crate) replays: usize,
    /// Completions refused because another owner took over.
    pub(crate) superseded: usize,
    /// Completions accepted that were sent after the lease was over.
    pub(crate) late: usize,
    /// Stale answers.
    pub(crate) stale: usize,
    pub(crate) slowest: Micros,
    /// How long keys of healthy masters went without an answer, in rounds that measure it.
    pub(crate) gap: Micros,
    pub(crate) violations: Vec<Violation>,
    /// All events of the keys with violations.
    pub(crate) violated: BTreeMap<u32, Vec<Event>>,
}

impl Rules {
    /// Of servers that nothing was done to.
    pub(crate) fn new(reads: Reads) -> Self {
        let longest_call = u64::try_from((CALL_TIMEOUT + SLACK).as_micros()).unwrap();
        Self { longest_call, reads, strict_sequence: false, disk_was_full: false, steps: Vec::new() }
    }

    /// When something ends at the earliest that was to last until `until`, and was in force at `from`. It ends no earlier
    /// than with the step that ends it.
    pub(crate) fn earliest_end(&self, from: Micros, until: Micros) -> Micros {
        self.steps.iter().filter(|step| from < step.until).fold(until, |until, step| {
            if step.from < until { step.from.max(until.saturating_sub(step.by)) } else { until }
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of key {}: {}", self.rule, self.key, self.what)
    }
}

impl Report {
    /// How many violations there are of each rule.
    pub(crate) fn by_rule(&self) -> BTreeMap<Rule, usize> {
        let mut counts = BTreeMap::new();
        for violation in &self.violations {
            *counts.entry(violation.rule).or_default() += 1;
        }
        counts
    }

    /// Prints what is needed to explain the first violations.
    pub(crate) fn explain(&self) {
        for violation in self.violations.iter().take(10) {
            println!("  {violation}");
        }
        for (key, events) in self.violated.iter().take(3) {
            println!("  all of key {key}:");
            for event in events {
                println!("    {event:?}");
            }
        }
    }

    /// Whether the server kept a call from being answered for as long as a call may take.
    pub(crate) fn is_outlasted(&self) -> bool {
        // A call that its caller dropped is of unknown effect too, but ends within milliseconds.
        self.slowest > u64::try_from(CALL_TIMEOUT.as_micros()).unwrap() * 9 / 10
    }

    /// Violations by which something acknowledged was lost.
    pub(crate) fn losses(&self) -> usize {
        let is_loss = |violation: &&Violation| !matches!(violation.rule, Rule::Slow | Rule::Failed);
        self.violations.iter().filter(is_loss).count()
    }
}
