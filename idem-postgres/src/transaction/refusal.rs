//! What a refusal means for the application's transaction.

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, LostReason};

use crate::error::recovery;
use crate::sql::Refusal;

/// What the server says to those who are in no transaction.
pub(super) const NO_TRANSACTION: &str = "25P01";
/// The lease is lost. The reason is the error's detail.
const LEASE_LOST: &str = "ID001";
/// The transaction's snapshot may be older than the lease.
const SNAPSHOT_TOO_OLD: &str = "ID002";

impl Refusal {
    /// Why the lease is lost, if that is what the server says.
    pub(super) fn lost(&self) -> Option<LostReason> {
        if self.state.as_deref() == Some(LEASE_LOST) { lost_reason(self.detail.as_deref()?) } else { None }
    }

    pub(super) fn error(&self, operation: Operation) -> Error {
        let Some(state) = self.state.as_deref() else {
            let message = format!("the transaction's connection has no answer: {}", self.message);
            return Error::new(ErrorKind::Unavailable, operation, message);
        };
        let kind = match state {
            _ if self.is_outdated() => ErrorKind::Unavailable,
            // The snapshot is too old (a state of this schema's own), there is no transaction, it has failed before, it only
            // reads.
            SNAPSHOT_TOO_OLD | NO_TRANSACTION | "25P02" | "25006" => ErrorKind::InvalidArgument,
            // The application's own at the commit: data, a deferred constraint, what its trigger raises.
            state if ["22", "23", "P0"].iter().any(|class| state.starts_with(class)) => {
                ErrorKind::InvalidArgument
            }
            // No such schema, function, table; no right to use it.
            "3F000" | "42883" | "42P01" | "42501" => ErrorKind::InvalidConfig,
            state => recovery(state).kind(ErrorKind::Unavailable),
        };
        let what_to_do = match (state, kind) {
            ("42501", _) => ": the transaction's role needs the rights of the store's",
            ("25P02", _) => ": an earlier statement of the transaction has failed",
            ("55P03", _) => {
                ": another transaction has locked the key's row; roll this one back, and run it again"
            }
            (_, ErrorKind::InvalidConfig) => ": is it a transaction on the store's database?",
            (_, ErrorKind::Unavailable) => ": roll the transaction back, and run it again",
            _ => "",
        };
        Error::new(kind, operation, format!("{} ({state}){what_to_do}", self.message))
    }
}

/// The reason that the function `fail_transaction` gives as its error's detail.
pub(super) fn lost_reason(detail: &str) -> Option<LostReason> {
    Some(match detail {
        "idem: superseded" => LostReason::Superseded,
        "idem: completed" => LostReason::Completed,
        "idem: released" => LostReason::Released,
        "idem: gone" => LostReason::Gone,
        _ => return None,
    })
}
