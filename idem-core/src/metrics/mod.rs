//! What idem counts and times, for any recorder of the `metrics` facade.
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
//! | `idem_lost_leases_total` | counter | `reason`: `superseded`, `gone`, `released` | leases that were lost, each counted once, when its holder is told |
//! | `idem_store_call_seconds` | histogram | `operation` | answered calls of a store |
//! | `idem_store_errors_total` | counter | `operation`, `kind`: an [`ErrorKind`](crate::ErrorKind) in lower case, as `timeout` and `invalid_config`, or `dropped` | calls answered with an error, and calls that their caller dropped |
//! | `idem_expired_records_total` | counter | | records removed because they had expired |
//! | `idem_refused_total` | counter | | calls refused as [`Full`](crate::ErrorKind::Full) |
//! | `idem_evicted_total` | counter | | completed outcomes dropped before their time to make room |
//!
//! `operation` is the name of the call: `lock`, `renew`, `checkpoint`, `complete`, `release`, `get`, `settled`,
//! `remove`, `expire`, `scan`, `erase`. No label has a client's text or any other value without a bound.
//!
//! The first three come from `execute`, the next six from [`Observed`], which [`Registry::open`](crate::Registry::open)
//! puts around a store when the feature is on; a store that is opened without a registry has to be wrapped explicitly. The
//! store itself counts what no call shows: the records that it [`expired`] by itself, and those that it [`evicted`].

mod counts;
mod observed;

pub use counts::{
    EVICTED, EXECUTION, EXECUTIONS, EXPIRED, LOCKS, LOST_LEASES, REFUSED, STORE_CALLS, STORE_ERRORS, WAIT,
    describe, evicted, expired,
};
pub(crate) use counts::{Since, count_by, executed, waited};
pub use observed::Observed;
