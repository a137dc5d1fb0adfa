//! What is counted and timed, for any recorder of the `metrics` facade.
//!
//! Off by default: enable the feature `metrics` of `idem-core`, and install a recorder. Without the feature
//! nothing here does anything.
//!
//! | name | kind | labels | what |
//! |---|---|---|---|
//! | `idem_executions_total` | counter | `outcome`: `executed`, `replayed`, `in_progress`, `fingerprint_mismatch`, `fenced`, `unavailable`, `unknown`, `failed`, `error` | how each [`execute`](crate::StoreExt::execute) ended |
//! | `idem_wait_seconds` | histogram | | from the beginning of an `execute` to the decision whether its work runs |
//! | `idem_execution_seconds` | histogram | | how long the work ran that ran to its end |
//! | `idem_lock_total` | counter | `outcome`: `acquired`, `completed`, `in_progress`, `fingerprint_mismatch`, `error` | answers to [`lock`](crate::Store::lock), those sent again included |
//! | `idem_lost_leases_total` | counter | `reason`: `superseded`, `gone`, `released` | leases of which a holder was told that they are lost, once each |
//! | `idem_store_call_seconds` | histogram | `operation` | answered calls of a store |
//! | `idem_store_errors_total` | counter | `operation`, `kind`: an [`ErrorKind`](crate::ErrorKind) in lower case, as `timeout` and `invalid_config`, or `dropped` | calls answered with an error, and calls that their caller gave up |
//! | `idem_expired_records_total` | counter | | records removed because they had expired |
//! | `idem_refused_total` | counter | | calls refused as [`Full`](crate::ErrorKind::Full) |
//! | `idem_evicted_total` | counter | | completed outcomes dropped before their time to make room |
//!
//! `operation` is the name of the call: `lock`, `renew`, `checkpoint`, `complete`, `release`, `get`, `settled`,
//! `remove`, `expire`. No label has a client's text or any other value without a bound.
//!
//! The first three come from `execute`, the next six from [`Observed`](crate::Observed), which
//! [`Registry::open`](crate::Registry::open) puts around a store when the feature is on; a store that is opened
//! without a registry is wrapped by hand. A store adds what no call shows: what it [`expired`] by itself, and
//! what it [`evicted`].

use crate::{Execution, Operation, Result};

/// How each `execute` ended.
pub const EXECUTIONS: &str = "idem_executions_total";
/// From the beginning of an `execute` to the decision whether its work runs.
pub const WAIT: &str = "idem_wait_seconds";
/// How long the work ran.
pub const EXECUTION: &str = "idem_execution_seconds";
/// Answers to `lock`.
pub const LOCKS: &str = "idem_lock_total";
/// Leases that were lost.
pub const LOST_LEASES: &str = "idem_lost_leases_total";
/// How long the answered calls of a store took.
pub const STORE_CALLS: &str = "idem_store_call_seconds";
/// Calls of a store that failed.
pub const STORE_ERRORS: &str = "idem_store_errors_total";
/// Records removed because they had expired.
pub const EXPIRED: &str = "idem_expired_records_total";
/// Calls refused for want of room.
pub const REFUSED: &str = "idem_refused_total";
/// Completed outcomes dropped before their time.
pub const EVICTED: &str = "idem_evicted_total";

/// Tells the installed recorder what each name means and its unit. Once, after the recorder is installed.
pub fn describe() {
    #[cfg(feature = "metrics")]
    {
        use ::metrics::{Unit, describe_counter, describe_histogram};
        describe_counter!(EXECUTIONS, "How each execute ended");
        describe_histogram!(WAIT, Unit::Seconds, "From the beginning of an execute to its decision");
        describe_histogram!(EXECUTION, Unit::Seconds, "How long the work ran");
        describe_counter!(LOCKS, "Answers to lock");
        describe_counter!(LOST_LEASES, "Leases that were lost");
        describe_histogram!(STORE_CALLS, Unit::Seconds, "How long the answered calls of a store took");
        describe_counter!(STORE_ERRORS, "Calls of a store that failed or were given up");
        describe_counter!(EXPIRED, "Records removed because they had expired");
        describe_counter!(REFUSED, "Calls refused for want of room");
        describe_counter!(EVICTED, "Completed outcomes dropped before their time to make room");
    }
}

/// For those who write a store: it removed so many expired records by itself, not in answer to
/// [`Store::expire`](crate::Store::expire), which is counted already.
pub fn expired(records: u64) {
    count(EXPIRED, records);
}

/// For those who write a store: it dropped so many completed outcomes before their time, to make room.
pub fn evicted(outcomes: u64) {
    count(EVICTED, outcomes);
}

/// A moment from which time is measured. Without the feature nobody reads the clock.
#[derive(Clone, Copy)]
pub(crate) struct Since(#[cfg(feature = "metrics")] tokio::time::Instant);

impl Since {
    pub(crate) fn now() -> Self {
        Self(
            #[cfg(feature = "metrics")]
            tokio::time::Instant::now(),
        )
    }
}

pub(crate) fn waited(since: Since) {
    #[cfg(feature = "metrics")]
    ::metrics::histogram!(WAIT).record(since.0.elapsed());
    let _ = since;
}

pub(crate) fn executed(since: Since) {
    #[cfg(feature = "metrics")]
    ::metrics::histogram!(EXECUTION).record(since.0.elapsed());
    let _ = since;
}

/// Counts how an `execute` ended, and answers the word for it.
pub(crate) fn ended<T, E>(answer: &Result<Execution<T, E>>) -> &'static str {
    let outcome = match answer {
        Ok(Execution::Executed(_)) => "executed",
        Ok(Execution::Replayed(_)) => "replayed",
        Ok(Execution::InProgress { .. }) => "in_progress",
        Ok(Execution::FingerprintMismatch) => "fingerprint_mismatch",
        Ok(Execution::Fenced(_)) => "fenced",
        Ok(Execution::Unavailable(_)) => "unavailable",
        Ok(Execution::Unknown(..)) => "unknown",
        Ok(Execution::Failed(_)) => "failed",
        Err(_) => "error",
    };
    count_by(EXECUTIONS, "outcome", outcome);
    outcome
}

pub(crate) fn locked(outcome: &'static str) {
    count_by(LOCKS, "outcome", outcome);
}

pub(crate) fn lost(reason: &'static str) {
    count_by(LOST_LEASES, "reason", reason);
}

pub(crate) fn refused() {
    count(REFUSED, 1);
}

pub(crate) fn answered(operation: Operation, since: Since) {
    #[cfg(feature = "metrics")]
    ::metrics::histogram!(STORE_CALLS, "operation" => operation.text()).record(since.0.elapsed());
    let _ = (operation, since);
}

pub(crate) fn failed(operation: Operation, kind: &'static str) {
    #[cfg(feature = "metrics")]
    ::metrics::counter!(STORE_ERRORS, "operation" => operation.text(), "kind" => kind).increment(1);
    let _ = (operation, kind);
}

fn count(name: &'static str, many: u64) {
    #[cfg(feature = "metrics")]
    ::metrics::counter!(name).increment(many);
    let _ = (name, many);
}

fn count_by(name: &'static str, label: &'static str, value: &'static str) {
    #[cfg(feature = "metrics")]
    ::metrics::counter!(name, label => value).increment(1);
    let _ = (name, label, value);
}
