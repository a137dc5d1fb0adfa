//! A handler's access to its own attempt.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, Uri};
use http_body::Body;
use idem_core::record::Checkpoint;
use idem_core::{Effect, Key, Lease, Outcome, Result, Store, Token, Transacted, UnavailableReason};

use super::store_failure::cause;
use crate::buffered_body::BufferedBody;
use crate::intake::pending_handler::RequestIdentity;
use crate::request::key::IdempotencyKey;
use crate::response::capture::{Captured, capture};
use crate::response::outcome::NotKept;
use crate::response::verdict::InDoubt;
use crate::shared::Shared;

/// The attempt that a handler is running, as an extension of its request; with the feature `axum` also an extractor.
/// Clones are the same attempt. (Without that feature, for a handler that takes an `Attempt` the compiler says only
/// that it does not implement axum's `Handler`.)
///
/// A handler of several steps saves a checkpoint after each, and the attempt after a crash continues from it:
///
/// ```
/// use bytes::Bytes;
/// use idem_core::{Effect, Result};
/// use idem_http::Attempt;
///
/// async fn order(attempt: Attempt) -> Result<&'static str> {
///     let done = attempt.checkpoint().map_or(0, |checkpoint| checkpoint.step);
///     if done < 1 {
///         // reserve the goods ...
///         if let Effect::Lost(_) = attempt.save(1, Bytes::from_static(b"reservation 7")).await? {
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

/// An extension of a request that says why the request has no attempt. For the extractors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAttempt {
    /// The key is optional, and the request has none.
    WithoutKey,
    /// The request was let through while the store failed.
    StoreFailed,
}

impl Attempt {
    pub(crate) fn new(lease: Lease, request: RequestIdentity, shared: Arc<Shared>) -> Self {
        Self { lease, request, shared }
    }

    /// Whether this is the attempt of the request with this key and URI. It may be that of an enclosing request: a batch
    /// endpoint may pass its own extensions on to the requests in the batch.
    pub(crate) fn is_of(&self, key: &IdempotencyKey, uri: &Uri) -> bool {
        self.request.key == *key && self.request.uri == *uri
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

    /// The key as the client sent it, for example to pass it on to another API.
    #[must_use]
    pub fn client_key(&self) -> &IdempotencyKey {
        &self.request.key
    }

    /// Which attempt this is; the first is 1. It begins anew at 1 when the key was released without a checkpoint, since
    /// nothing is left of the key then.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.lease.attempt()
    }

    /// The fencing token, to be sent along with effects on other systems.
    #[must_use]
    pub fn token(&self) -> Token {
        self.lease.token()
    }

    /// What the attempt before this one saved last.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.lease.checkpoint()
    }

    /// The store, for calls that only its backend has.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// Saves a checkpoint for the attempt that may follow this one, and renews the lease.
    ///
    /// # Errors
    /// Those of [`Store::checkpoint`].
    ///
    /// # Cancel safety
    /// Safe: the checkpoint is as before, or as given.
    pub async fn save(&self, step: u64, progress: impl Into<Bytes>) -> Result<Effect> {
        let lease = self.shared.options.lease;
        self.shared.store().checkpoint(&self.lease, step, progress.into(), lease).await
    }

    /// The [`Outcome`] that the layer would store for this response: for a handler that completes its key itself, in
    /// one transaction with its own data. [`conclude`](Attempt::conclude) turns the end of that transaction into the
    /// handler's answer.
    ///
    /// ```
    /// use http::Response;
    /// use idem_http::Attempt;
    /// use idem_redb::RedbStoreExt;
    ///
    /// type Failure = Box<dyn std::error::Error + Send + Sync>;
    /// const BOOKED: redb::TableDefinition<u64, u64> = redb::TableDefinition::new("booked");
    ///
    /// async fn book(attempt: Attempt, account: u64, cents: u64) -> Result<Response<String>, Failure> {
    ///     let redb = attempt.store().as_redb().ok_or("this handler needs redb")?;
    ///     let booking = attempt.clone();
    ///     let transacted = redb.complete_with(attempt.lease(), move |txn| {
    ///         txn.open_table(BOOKED)?.insert(account, cents)?;
    ///         Ok::<_, Failure>(booking.outcome(&Response::new(format!("booked {cents}")))?)
    ///     });
    ///     attempt.conclude(transacted.await)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`NotKept`]: no retry could get this response. In a transaction, return the error: nothing is committed then,
    /// and the handler answers something that can be kept.
    pub fn outcome<B: AsRef<[u8]>>(&self, response: &Response<B>) -> std::result::Result<Outcome, NotKept> {
        let headers = self.with_expiry(response.headers());
        self.shared.options.kept.outcome(response.status(), &headers, response.body().as_ref(), None)
    }

    /// [`outcome`](Attempt::outcome) for a response whose body is yet to be read, such as that of an `IntoResponse` of
    /// axum.
    ///
    /// # Errors
    /// Those of `outcome`, and when the body takes too long or breaks off.
    ///
    /// # Cancel safety
    /// Dropping the future drops the response.
    pub async fn outcome_of<B: Body<Data = Bytes>>(
        &self,
        response: Response<B>,
    ) -> std::result::Result<Outcome, NotKept> {
        let options = &self.shared.options;
        let (parts, body) = response.into_parts();
        let timeout = options.response_timeout_for(&body);
        match capture(Box::pin(body), options.kept.max_body, timeout).await {
            Captured::Whole(BufferedBody { data, trailers }) => {
                let headers = self.with_expiry(&parts.headers);
                self.shared.options.kept.outcome(parts.status, &headers, &data, trailers.as_deref())
            }
            Captured::PartlyRead(_, UnavailableReason::TooLarge) => {
                Err(NotKept::TooLarge { most: options.kept.max_body })
            }
            Captured::PartlyRead(_, _) => Err(NotKept::NotWhole),
        }
    }

    /// The headers with the expiry that clients are told. A handler that completes its key itself uses its lease's
    /// retention.
    fn with_expiry<'a>(&self, headers: &'a HeaderMap) -> Cow<'a, HeaderMap> {
        let mut headers = Cow::Borrowed(headers);
        if self.shared.options.expires_header.name.is_some() {
            self.shared.options.expires_header.set(headers.to_mut(), self.lease.retention(), &self.lease);
        }
        headers
    }

    /// What a handler answers after a transaction that was to complete its key, however the transaction ended. This
    /// response is a placeholder that no client sees. The client gets:
    /// - when the transaction is committed, by this call or an earlier one: the answer in the record;
    /// - when the lease is lost: the answer of the attempt that took over, or 409 while that one is running;
    /// - when the store gave no answer: the answer in the record, or 503 while the effect is still unknown.
    ///
    /// # Errors
    /// The application's own, when the transaction was rolled back: nothing is written, the key is still held, and what
    /// the handler answers then is judged like any other answer.
    pub fn conclude<B: Default, E>(
        &self,
        transacted: Result<Transacted<E>>,
    ) -> std::result::Result<Response<B>, E> {
        let mut response = Response::new(B::default());
        // A layer between the handler and this one must not take the placeholder for a success.
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.extensions_mut().insert(FromRecord);
        match transacted {
            Ok(Transacted::Applied | Transacted::AlreadyCompleted) => {}
            Ok(Transacted::RolledBack(error)) => return Err(error),
            Ok(Transacted::Lost(_)) => {
                response.extensions_mut().insert(InDoubt);
            }
            Err(error) => {
                let (key, error) = (self.key(), cause(&error));
                tracing::warn!(%key, error, "whether a handler has completed its key is unknown");
                response.extensions_mut().insert(InDoubt);
            }
        }
        Ok(response)
    }
}

/// An extension that marks a placeholder response: the answer is in the record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FromRecord;

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt").field("lease", &self.lease).finish_non_exhaustive()
    }
}
