//! The effect of a call that only a holder may make.

/// The answer to a call that only a holder may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a lost lease means that another caller may be running the work"]
pub enum Effect {
    /// Done, or done before by the same call.
    Applied,
    /// The caller does not hold the key; nothing was written.
    Lost(LostReason),
}

/// Why a caller does not hold the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LostReason {
    /// Another attempt took over.
    Superseded,
    /// The holder itself completed the key.
    Completed,
    /// The holder itself released the key.
    Released,
    /// There is no record: released, removed, or past its retention.
    Gone,
}

/// How a transaction ended that commits the application's own writes and the completion of a key together, or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "only `Applied` means that this call wrote anything"]
pub enum Transacted<E> {
    /// The application's writes and the completion are committed, together.
    Applied,
    /// The same lease completed the key before. This call did not run the application's code and wrote nothing.
    AlreadyCompleted,
    /// The lease is lost. The application's code was not run, and nothing was written.
    Lost(LostReason),
    /// The application's code answered `Err`: nothing was written, and the lease is still held.
    RolledBack(E),
}
