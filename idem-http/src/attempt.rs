//! What a handler can reach of its own attempt.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, Uri};
use http_body::Body;
use idem_core::{Checkpoint, Fenced, Key, Lease, Outcome, Reason, Result, Store, Token};

use crate::body::Whole;
use crate::capture::{Captured, capture};
use crate::codec;
use crate::key::IdempotencyKey;
use crate::layer::Shared;

/// The attempt that a handler is running, as an extension of its request; with the feature `axum` also an
/// extractor. Clones are the same attempt.
///
/// A handler of several steps saves a checkpoint after each, and the attempt after a crash goes on from it:
///
/// ```
/// use bytes::Bytes;
/// use idem_core::{Fenced, Result};
/// use idem_http::Attempt;
///
/// async fn order(attempt: Attempt) -> Result<&'static str> {
///     let done = attempt.checkpoint().map_or(0, |checkpoint| checkpoint.step);
///     if done < 1 {
///         // reserve the goods ...
///         if let Fenced::Lost(_) = attempt.save(1, Bytes::from_static(b"reservation 7")).await? {
///             return Ok("another attempt goes on; the client gets its answer, not this one");
///         }
///     }
///     if done < 2 {
///         // charge the card, with a key of its own that stays the same for every attempt ...
///     }
///     Ok("ordered")
/// }
/// ```
#[derive(Clone)]
pub struct Attempt {
    lease: Lease,
    request: RequestIdentity,
    shared: Arc<Shared>,
}

/// Why a request that the layer has seen has no attempt; in its extensions, for extractors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAttempt {
    /// Its key is optional, and was not sent.
    WithoutKey,
    /// It was let through while the store failed.
    StoreFailed,
}

/// Which request of a client it is: its key, and the URI as the client sent it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RequestIdentity {
    pub(crate) key: IdempotencyKey,
    pub(crate) uri: Uri,
}

impl Attempt {
    pub(crate) fn new(lease: Lease, request: RequestIdentity, shared: Arc<Shared>) -> Self {
        Self { lease, request, shared }
    }

    /// Whether this is the attempt of that request, and not of one that it was made by: a batch endpoint may hand its
    /// own extensions to the requests in it.
    pub(crate) fn is_of(&self, request: &RequestIdentity) -> bool {
        self.request == *request
    }

    /// The lease: what proves to the store that this attempt holds the key.
    #[must_use]
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// The key under which the store keeps the record.
    #[must_use]
    pub fn key(&self) -> &Key {
        self.lease.key()
    }

    /// The key as the client sent it, to be passed on to another API, say.
    #[must_use]
    pub fn client_key(&self) -> &IdempotencyKey {
        &self.request.key
    }

    /// Which attempt this is; the first is 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.lease.attempt()
    }

    /// The fencing token, to be passed along with effects on other systems.
    #[must_use]
    pub fn token(&self) -> Token {
        self.lease.token()
    }

    /// What the attempt before this one saved last.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.lease.checkpoint()
    }

    /// The store, to reach what it alone can do.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// Saves a recovery point for the attempt that may come after this one, and renews the lease.
    ///
    /// # Errors
    /// Those of [`Store::checkpoint`].
    ///
    /// # Cancel safety
    /// Safe: the checkpoint is as before, or as given.
    pub async fn save(&self, step: u64, progress: impl Into<Bytes>) -> Result<Fenced> {
        let lease = self.shared.options.lease;
        self.shared.store().checkpoint(&self.lease, step, progress.into(), lease).await
    }

    /// The [`Outcome`] that the layer would store for this response: for a handler that completes its key itself,
    /// in one transaction with its own data. The layer then answers from the record.
    ///
    /// ```
    /// use http::Response;
    /// use idem_core::Result;
    /// use idem_http::{Attempt, InDoubt, NotExecuted};
    /// use idem_redb::{RedbStoreExt, Transacted};
    ///
    /// const BOOKED: redb::TableDefinition<u64, u64> = redb::TableDefinition::new("booked");
    ///
    /// async fn book(attempt: Attempt, account: u64, cents: u64) -> Response<String> {
    ///     let Some(redb) = attempt.store().as_redb() else { panic!("this handler needs redb") };
    ///     let booking = attempt.clone();
    ///     let transacted = redb.complete_with(attempt.lease(), move |txn| {
    ///         txn.open_table(BOOKED)?.insert(account, cents)?;
    ///         Ok::<_, redb::Error>(booking.outcome(&Response::new(format!("booked {cents}"))))
    ///     });
    ///     let mut response = Response::new(String::new());
    ///     match transacted.await {
    ///         // What this response says does not matter: the client gets the record's.
    ///         Ok(Transacted::Applied | Transacted::AlreadyCompleted) => {}
    ///         // Nothing was booked, and an answer of this attempt could be kept: the one that took over
    ///         // may have given the key back.
    ///         Ok(Transacted::Lost(_)) => {
    ///             *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
    ///             response.extensions_mut().insert(NotExecuted);
    ///         }
    ///         // Undone: this response is kept, as any other.
    ///         Ok(Transacted::RolledBack(_)) => *response.status_mut() = http::StatusCode::CONFLICT,
    ///         // Perhaps done: the layer asks the record.
    ///         Err(_) => {
    ///             response.extensions_mut().insert(InDoubt);
    ///         }
    ///     }
    ///     response
    /// }
    /// ```
    #[must_use]
    pub fn outcome<B: AsRef<[u8]>>(&self, response: &Response<B>) -> Outcome {
        self.shared.outcome(response.status(), response.headers(), response.body().as_ref(), None)
    }

    /// [`outcome`](Attempt::outcome) for a response whose body is yet to be read, such as that of an
    /// `IntoResponse` of axum. One that is too large, takes too long or breaks off gives an unavailable outcome.
    ///
    /// # Cancel safety
    /// Dropped, it drops the response.
    pub async fn outcome_of<B: Body<Data = Bytes>>(&self, response: Response<B>) -> Outcome {
        let options = &self.shared.options;
        let (parts, body) = response.into_parts();
        match capture(Box::pin(body), options.max_response, options.response_timeout).await {
            Captured::Whole(Whole { data, trailers }) => {
                self.shared.outcome(parts.status, &parts.headers, &data, trailers.as_ref())
            }
            Captured::Partly(_, reason) => Outcome::Unavailable(reason),
        }
    }
}

impl Shared {
    /// An answer as it is stored.
    pub(crate) fn outcome(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        trailers: Option<&HeaderMap>,
    ) -> Outcome {
        if body.len() > self.options.max_response {
            return Outcome::Unavailable(Reason::TooLarge);
        }
        match codec::encode(status, headers, body, trailers, &self.options.kept) {
            Some(bytes) => Outcome::Value(bytes),
            None => Outcome::Unavailable(Reason::NotEncodable),
        }
    }
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt").field("lease", &self.lease).finish_non_exhaustive()
    }
}
