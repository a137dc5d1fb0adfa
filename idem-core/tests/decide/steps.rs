//! Random calls with tokens that were granted, around deadlines and expiries.

use std::time::Duration;

use proptest::prelude::*;

use crate::support::{LEASE, MICRO, RETENTION};

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Pass(Moment),
    Lock { owner: u8, same_request: bool, lease: Duration },
    Renew { which: usize, duration: Duration },
    Checkpoint { which: usize, step: u64, duration: Duration },
    Complete { which: usize, outcome: &'static str, retention: Duration },
    Release { which: usize },
    Remove { force: bool },
}

#[derive(Debug, Clone)]
pub(crate) enum Moment {
    After(Duration),
    BeforeDeadline,
    Deadline,
    BeforeExpiry,
    Expiry,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let which = || 0..8_usize;
    prop_oneof![
        4 => moment().prop_map(Step::Pass),
        6 => (0..4_u8, prop::bool::weighted(0.9), length())
            .prop_map(|(owner, same_request, lease)| Step::Lock { owner, same_request, lease }),
        2 => (which(), length()).prop_map(|(which, duration)| Step::Renew { which, duration }),
        2 => (which(), 0..4_u64, length())
            .prop_map(|(which, step, duration)| Step::Checkpoint { which, step, duration }),
        2 => (which(), prop::sample::select(vec!["one", "two"]), length())
            .prop_map(|(which, outcome, retention)| Step::Complete { which, outcome, retention }),
        2 => which().prop_map(|which| Step::Release { which }),
        1 => any::<bool>().prop_map(|force| Step::Remove { force }),
    ]
}

fn length() -> impl Strategy<Value = Duration> {
    prop::sample::select(vec![MICRO, Duration::from_secs(1), LEASE, RETENTION])
}

fn moment() -> impl Strategy<Value = Moment> {
    prop_oneof![
        length().prop_map(Moment::After),
        Just(Moment::BeforeDeadline),
        Just(Moment::Deadline),
        Just(Moment::BeforeExpiry),
        Just(Moment::Expiry),
    ]
}
