//! The rules for a history, and the result of checking it.

use std::collections::BTreeMap;
use std::fmt;

use crate::judge::history::{Event, Micros};

/// What is required of a history beyond the contract.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// No call may take longer.
    pub(crate) longest_call: Micros,
    /// Whether reads and refusals must be up to date too. A master that does not know yet that it was replaced answers
    /// from its own state. Such an answer grants nothing, so on its own it violates nothing.
    pub(crate) reads: Reads,
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

    /// Violations by which something acknowledged was lost.
    pub(crate) fn losses(&self) -> usize {
        let is_loss = |violation: &&Violation| !matches!(violation.rule, Rule::Slow | Rule::Failed);
        self.violations.iter().filter(is_loss).count()
    }
}
