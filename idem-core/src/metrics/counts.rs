//! The names of the metrics, and the functions that count.

use crate::error::Operation;

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

/// Tells the installed recorder the meaning and the unit of each name. Call it once, after the recorder is installed.
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

/// For those who write a store: counts `records` that it swept by itself. Those that
/// [`Store::expire`](crate::Store::expire) removes are counted already.
pub fn expired(records: u64) {
    count(EXPIRED, records);
}

/// For those who write a store: counts completed `outcomes` that it dropped before their time, to make room.
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

pub(crate) fn count_by(name: &'static str, label: &'static str, value: &'static str) {
    #[cfg(feature = "metrics")]
    ::metrics::counter!(name, label => value).increment(1);
    let _ = (name, label, value);
}
