use std::time::Duration;

/// What a store promises beyond the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "seven independent promises, not a state machine")]
#[non_exhaustive]
pub struct Capabilities {
    /// What the store acknowledged outlives the process.
    pub durable: bool,
    /// What the store acknowledged is held by more than one server, and outlives the loss of one.
    pub replicated: bool,
    /// Several processes may use it at once.
    pub shared: bool,
    /// The store refuses or evicts at a configured bound.
    pub bounded: bool,
    /// The sequences of a key rise even across the removal of its record.
    pub strict_sequence: bool,
    /// A completion wakes those who wait in [`Store::settled`](crate::Store::settled).
    pub notifies: bool,
    /// It lists its records: [`Store::scan`](crate::Store::scan), and what builds on it, work.
    pub scans: bool,
    /// How long one call may take before the store itself ends it in [`Timeout`](crate::ErrorKind::Timeout); `None`:
    /// the store sets no limit. [`execute`](crate::StoreExt::execute) allows for this time when it sends a call again.
    pub call_timeout: Option<Duration>,
}

/// For those who write a store: a constant that still compiles when capabilities are added.
///
/// ```
/// use idem_core::Capabilities;
///
/// const MINE: Capabilities = Capabilities::none().with_durable().with_notifies();
/// assert!(MINE.durable && MINE.notifies && !MINE.shared);
/// ```
impl Capabilities {
    /// Nothing beyond the contract.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            durable: false,
            replicated: false,
            shared: false,
            bounded: false,
            strict_sequence: false,
            notifies: false,
            scans: false,
            call_timeout: None,
        }
    }

    /// Also [`durable`](Self::durable).
    #[must_use]
    pub const fn with_durable(self) -> Self {
        Self { durable: true, ..self }
    }

    /// Also [`replicated`](Self::replicated).
    #[must_use]
    pub const fn with_replicated(self) -> Self {
        Self { replicated: true, ..self }
    }

    /// Also [`shared`](Self::shared).
    #[must_use]
    pub const fn with_shared(self) -> Self {
        Self { shared: true, ..self }
    }

    /// Also [`bounded`](Self::bounded).
    #[must_use]
    pub const fn with_bounded(self) -> Self {
        Self { bounded: true, ..self }
    }

    /// Also [`strict_sequence`](Self::strict_sequence).
    #[must_use]
    pub const fn with_strict_sequence(self) -> Self {
        Self { strict_sequence: true, ..self }
    }

    /// Also [`notifies`](Self::notifies).
    #[must_use]
    pub const fn with_notifies(self) -> Self {
        Self { notifies: true, ..self }
    }

    /// Also [`scans`](Self::scans).
    #[must_use]
    pub const fn with_scans(self) -> Self {
        Self { scans: true, ..self }
    }

    /// With this [`call_timeout`](Self::call_timeout).
    #[must_use]
    pub const fn with_call_timeout(self, limit: Duration) -> Self {
        Self { call_timeout: Some(limit), ..self }
    }
}

/// The answer to [`Store::expire`](crate::Store::expire).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expired {
    /// How many records were removed.
    pub removed: usize,
    /// Whether more expired records remain.
    pub more: bool,
}
