//! The steps of a random sequence.

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;

/// One step. Keys, owners and leases are numbers, so that a sequence is easy to read and to shrink; times are in ticks.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Lock { key: u8, owner: u8, fingerprint: u8, lease: u32, retention: u32 },
    Renew { grant: u8, lease: u32 },
    Checkpoint { grant: u8, step: u64, progress: u8, lease: u32 },
    Complete { grant: u8, outcome: u8, retention: u32 },
    Release { grant: u8 },
    Remove { key: u8, force: bool },
    Expire { budget: usize },
    Pass { time: u32 },
    Reopen,
}

pub(super) const KEYS: u8 = 3;
const OWNERS: u8 = 3;

/// How times are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// For a manual clock: any times, so that moments may coincide exactly.
    Exact,
    /// For a clock that runs by itself: moments that matter are at least a tick apart.
    Apart,
}

/// Any step.
pub(super) fn any(pace: Pace, reopens: bool) -> BoxedStrategy<Step> {
    let grant = || prop_oneof![3 => 0..3_u8, 1 => 0..12_u8];
    let key = || 0..KEYS;
    prop_oneof![
        12 => (key(), 0..OWNERS, fingerprint(), lease(pace), retention(pace)).prop_map(
            |(key, owner, fingerprint, lease, retention)| {
                Step::Lock { key, owner, fingerprint, lease, retention: retention.max(lease) }
            }
        ),
        3 => (grant(), lease(pace)).prop_map(|(grant, lease)| Step::Renew { grant, lease }),
        4 => (grant(), 0..4_u64, 0..4_u8, lease(pace)).prop_map(|(grant, step, progress, lease)| {
            Step::Checkpoint { grant, step, progress, lease }
        }),
        4 => (grant(), 0..4_u8, retention(pace)).prop_map(|(grant, outcome, retention)| {
            Step::Complete { grant, outcome, retention }
        }),
        3 => grant().prop_map(|grant| Step::Release { grant }),
        1 => (key(), any_force()).prop_map(|(key, force)| Step::Remove { key, force }),
        1 => (0..4_usize).prop_map(|budget| Step::Expire { budget }),
        8 => time(pace).prop_map(|time| Step::Pass { time }),
        u32::from(reopens) => Just(Step::Reopen),
    ]
    .boxed()
}

fn any_force() -> impl Strategy<Value = bool> {
    proptest::bool::ANY
}

/// Mostly the same fingerprint, or little would be replayed.
fn fingerprint() -> impl Strategy<Value = u8> {
    prop_oneof![7 => Just(0_u8), 1 => Just(1)]
}

// `Pace::Apart`, modulo four ticks: time passes in multiples of four, so the present is 0. A lease is 2 and a
// retention is 1. So a deadline is 2, the expiry of a locked record is 2 + 1, and that of a released or completed
// record is 1, or 2 at the deadline of its lease. None of them coincides with the present.

fn time(pace: Pace) -> BoxedStrategy<u32> {
    match pace {
        Pace::Exact => (1..12_u32).boxed(),
        Pace::Apart => (1..5_u32).prop_map(|fours| fours * 4).boxed(),
    }
}

fn lease(pace: Pace) -> BoxedStrategy<u32> {
    match pace {
        Pace::Exact => (1..8_u32).boxed(),
        Pace::Apart => (0..3_u32).prop_map(|fours| fours * 4 + 2).boxed(),
    }
}

fn retention(pace: Pace) -> BoxedStrategy<u32> {
    match pace {
        Pace::Exact => (1..20_u32).boxed(),
        Pace::Apart => (3..6_u32).prop_map(|fours| fours * 4 + 1).boxed(),
    }
}
