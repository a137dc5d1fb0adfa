use crate::LostReason;

/// How a transaction ended that holds the application's own writes and the completion of a key: both or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "only `Applied` means that this call wrote anything"]
pub enum Transacted<E> {
    /// The application's writes and the completion are committed, together.
    Applied,
    /// The same lease has completed the key before: the application's code was not run now, and nothing was written now.
    AlreadyCompleted,
    /// The lease is lost: the application's code was not run, nothing was written.
    Lost(LostReason),
    /// The application's code answered `Err`: nothing was written, and the lease is still held.
    RolledBack(E),
}
