//! The rules for a history, and the result of checking it.

use std::collections::BTreeMap;
use std::fmt;

use crate::judge::history::{Event, Micros};

/// What is asked of a history beyond the contract.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// No call may take longer.
    pub(crate) longest_call: Micros,
    /// Whether reads and refusals must be up to date too. A master that does not know yet that it was replaced
    /// answers what it knows; what it answers is no claim, so that alone contradicts nothing.
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
    /// A holder whose lease is live is told that it is lost.
    LostLease,
    /// A completion is told to be accepted, and later refused.
    LostCompletion,
    /// A replay that differs from what was accepted, or from another replay, or that nobody sent.
    WrongOutcome,
    /// A request with another fingerprint gets an outcome.
    WrongFingerprint,
    /// An attempt without an end is not remembered by the next one: number, sequence or checkpoint.
    ForgottenAttempt,
    /// A holder is given a checkpoint that nobody saved.
    WrongCheckpoint,
    /// An answer from before, where that is not allowed.
    StaleRead,
    /// A call took too long.
    Slow,
    /// An error that no call should meet.
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) rule: Rule,
    pub(crate) key: u32,
    pub(crate) what: String,
}

/// What a history came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    pub(crate) calls: usize,
    /// Tokens that were told to hold a key.
    pub(crate) acquired: usize,
    /// Tokens that were told to have completed one.
    pub(crate) completed: usize,
    pub(crate) unknown: usize,
    pub(crate) replays: usize,
    /// Completions refused because another took over.
    pub(crate) superseded: usize,
    /// Completions accepted that were sent after the lease was over.
    pub(crate) late: usize,
    /// Answers from before.
    pub(crate) stale: usize,
    pub(crate) slowest: Micros,
    /// In rounds that measure it: how long keys of healthy masters went without an answer.
    pub(crate) gap: Micros,
    pub(crate) violations: Vec<Violation>,
    /// All that happened to the keys of violations.
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

    /// What people need to explain the first violations.
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

    /// Violations that come from something acknowledged and then forgotten.
    pub(crate) fn losses(&self) -> usize {
        let is_loss = |violation: &&Violation| !matches!(violation.rule, Rule::Slow | Rule::Failed);
        self.violations.iter().filter(is_loss).count()
    }
}
