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
///
/// Where it did not commit, the application's code has not run, or what it wrote in the transaction is rolled back: that
/// is the store's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "only `Applied` means that this call wrote anything"]
pub enum Transacted<E> {
    /// The application's writes and the completion are committed, together.
    Applied,
    /// The same lease completed the key before. By this call nothing of the application's is written.
    AlreadyCompleted,
    /// The lease is lost, and nothing of the application's is written.
    Lost(LostReason),
    /// The application's code answered `Err`, or, in a transaction that the application began, the completion or the commit
    /// failed. Nothing of the application's is written, and the lease is still held, as far as is known.
    RolledBack(E),
}

impl<E> Transacted<E> {
    /// The same end, with what `of` makes of the reason of a rollback.
    ///
    /// ```
    /// use idem_core::Transacted;
    ///
    /// let found_out: Transacted<()> = Transacted::RolledBack(());
    /// assert_eq!(found_out.map_rolled_back(|()| "the commit failed"), Transacted::RolledBack("the commit failed"));
    /// ```
    pub fn map_rolled_back<F>(self, of: impl FnOnce(E) -> F) -> Transacted<F> {
        match self {
            Self::Applied => Transacted::Applied,
            Self::AlreadyCompleted => Transacted::AlreadyCompleted,
            Self::Lost(reason) => Transacted::Lost(reason),
            Self::RolledBack(reason) => Transacted::RolledBack(of(reason)),
        }
    }
}
