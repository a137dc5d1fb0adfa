//! The one error type of every store: the kind, the operation that failed, and the source.

use std::fmt;

type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What every fallible function of idem returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure this is. Programs decide by the kind; the rest of an error is for people.
///
/// Business results are never errors: a key that another caller holds, a completed key and a lost lease
/// are values of [`LockAnswer`](crate::LockAnswer) and [`Effect`](crate::Effect).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The client's key or the scope is outside its limits (see [`Key::new`](crate::Key::new)).
    InvalidKey,
    /// An argument is outside its limits: a zero or absurd lease, a retention shorter than the lease.
    InvalidArgument,
    /// A configuration is wrong: unknown scheme or option, bad value, a path that cannot be used.
    InvalidConfig,
    /// Stored bytes are not what was written. The damaged record is left as it is, and the call itself changed nothing.
    /// What ran before the failure may have made changes: a sweep may have removed other records, and a check at
    /// opening may have repaired the file, which its store then reports.
    Corrupt,
    /// The file or value is sound, but not of a kind this version reads: newer, or not ours.
    Incompatible,
    /// The store is at its configured bound, or its disk is full. Nothing already kept was dropped. Waiting alone helps
    /// only where something expires; [`execute`](crate::StoreExt::execute) still sends a `complete` and a `renew`
    /// again.
    Full,
    /// The outcome or checkpoint is larger than the store keeps. The lease is still held.
    TooLarge,
    /// The effect is unknown. Send the same call again, with the same owner or lease: its answer is the truth.
    Timeout,
    /// The store cannot answer now: overloaded, reopening, or out of reach. The call may have taken effect, so treat
    /// this as [`Timeout`](ErrorKind::Timeout): send the call again, never run the work again.
    Unavailable,
    /// This handle to the store answers no more calls: it was closed, or its file was removed or replaced. Calls made
    /// before may have taken effect; a newly opened store shows whether they did. Sending the call to this
    /// handle again does not help.
    Closed,
    /// The call is optional, and this store does not have it: see [`Capabilities`](crate::Capabilities).
    Unsupported,
}

impl ErrorKind {
    /// Whether the same call, sent again, may succeed without anything being changed.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Timeout | Self::Unavailable)
    }

    fn text(self) -> &'static str {
        match self {
            Self::InvalidKey => "invalid key",
            Self::InvalidArgument => "invalid argument",
            Self::InvalidConfig => "invalid configuration",
            Self::Corrupt => "corrupt data",
            Self::Incompatible => "incompatible data",
            Self::Full => "store full",
            Self::TooLarge => "too large",
            Self::Timeout => "timed out, effect unknown",
            Self::Unavailable => "store unavailable",
            Self::Closed => "store closed",
            Self::Unsupported => "not supported by this store",
        }
    }

    /// One word, as metrics and spans name it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::InvalidKey => "invalid_key",
            Self::InvalidArgument => "invalid_argument",
            Self::InvalidConfig => "invalid_config",
            Self::Corrupt => "corrupt",
            Self::Incompatible => "incompatible",
            Self::Full => "full",
            Self::TooLarge => "too_large",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Closed => "closed",
            Self::Unsupported => "unsupported",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// What was being done when an [`Error`] arose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Making a key, fingerprint or claim from the caller's values.
    Build,
    /// Reading a configuration.
    Configure,
    /// Opening a store.
    Open,
    /// [`Store::lock`](crate::Store::lock)
    Lock,
    /// [`Store::renew`](crate::Store::renew)
    Renew,
    /// [`Store::checkpoint`](crate::Store::checkpoint)
    Checkpoint,
    /// [`Store::complete`](crate::Store::complete)
    Complete,
    /// [`Store::release`](crate::Store::release)
    Release,
    /// [`Store::get`](crate::Store::get)
    Get,
    /// [`Store::settled`](crate::Store::settled)
    Settled,
    /// [`Store::remove`](crate::Store::remove)
    Remove,
    /// [`Store::expire`](crate::Store::expire)
    Expire,
    /// [`Store::scan`](crate::Store::scan)
    Scan,
    /// [`Store::erase`](crate::Store::erase)
    Erase,
    /// Encoding or decoding a typed result.
    Typed,
    /// Upkeep of the store's files: compaction, integrity check.
    Maintain,
    /// Closing a store.
    Close,
}

impl Operation {
    /// One word for each call of a store, as metrics and spans name it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Configure => "configure",
            Self::Open => "open",
            Self::Lock => "lock",
            Self::Renew => "renew",
            Self::Checkpoint => "checkpoint",
            Self::Complete => "complete",
            Self::Release => "release",
            Self::Get => "get",
            Self::Settled => "settled",
            Self::Remove => "remove",
            Self::Expire => "expire",
            Self::Scan => "scan",
            Self::Erase => "erase",
            Self::Typed => "typed result",
            Self::Maintain => "maintain",
            Self::Close => "close",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A failure of the store, or a misuse of it.
///
/// The text shows operation, kind and message. The error that caused this one is the
/// [`source`](std::error::Error::source).
///
/// ```
/// use idem_core::{ErrorKind, Key, Scope};
///
/// let error = Key::new(&Scope::shared(), "").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidKey);
/// assert_eq!(error.to_string(), "build: invalid key: the client key is empty, it needs 1 to 255 bytes");
/// ```
pub struct Error {
    kind: ErrorKind,
    operation: Operation,
    message: String,
    source: Option<Source>,
}

impl Error {
    /// An error of this kind, with a message that says what to do about it.
    pub fn new(kind: ErrorKind, operation: Operation, message: impl Into<String>) -> Self {
        Self { kind, operation, message: message.into(), source: None }
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error, seen from another operation.
    #[must_use]
    pub fn during(mut self, operation: Operation) -> Self {
        self.operation = operation;
        self
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was being done.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// As `tracing` takes an error, with its sources.
    pub(crate) fn as_dyn(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    /// The message alone, without kind and operation.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Without the [`source`](std::error::Error::source), as the standard library advises: print the chain to see the
/// cause.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.operation, self.kind, self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("operation", &self.operation)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
