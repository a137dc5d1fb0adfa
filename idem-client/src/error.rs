//! The error of a request that was given up.

use std::fmt;

use reqwest::{Response, StatusCode};

use crate::box_error::BoxError;
use crate::request::key::{ClientKey, KeyError};

/// A request that was given up. It may have been executed, unless [`failure`](Error::failure) says that nothing was sent:
/// keep the [`key`](Error::key), and send the same request with it again.
///
/// ```
/// use idem_client::{Error, Failure};
///
/// fn may_have_been_executed(error: &Error) -> bool {
///     !matches!(error.failure(), Failure::NotPersisted(_) | Failure::KeyRefused(_))
/// }
/// ```
#[derive(Debug)]
pub struct Error {
    key: Option<ClientKey>,
    attempts: usize,
    failure: Failure,
}

/// Why a request was given up.
///
/// `Debug` shows no path, query, header or body of the request or of the answer. For a redirect that was refused it shows
/// the origin that the redirect led to.
#[non_exhaustive]
pub enum Failure {
    /// The hook [`persist`](crate::IdempotentClient::persist) failed, or did not end in time. Nothing was sent.
    NotPersisted(BoxError),
    /// The request has two keys. Nothing was sent.
    KeyRefused(KeyError),
    /// The request cannot be resumed: a secret is missing, the body was a stream, the request is too old, or this machine's
    /// clock is behind the time of the first attempt. Nothing was sent now.
    NotResumed(BoxError),
    /// The last attempt failed, for example by a lost connection, or by an answer that broke off or did not come in time.
    NotAnswered(BoxError),
    /// The last answer was one after which the request is sent again: 409 with `Retry-After`, 408, 425, 429, 502, 503, 504,
    /// or Cloudflare's 520 to 524 or 530. The first 64 KiB of its body are in memory.
    Later(Box<Response>),
    /// The answer was a redirect to another origin, one that would have changed the method, or one too many.
    Redirected(BoxError),
    /// The answer is final, and its body is longer than the limit. To get it, send the request with the same key by a client
    /// that does not read bodies.
    TooLarge {
        /// Status of the answer.
        status: StatusCode,
        /// The limit that [`read_body`](crate::IdempotentClient::read_body) sets, in bytes.
        limit: usize,
    },
    /// The answer is final, and the hook [`forget`](crate::IdempotentClient::forget) failed, or did not end in time.
    NotForgotten {
        /// The error of the hook.
        source: BoxError,
        /// The answer, with its body.
        answer: Box<Response>,
    },
}

impl Error {
    pub(crate) fn new(key: Option<ClientKey>, attempts: usize, failure: Failure) -> Self {
        Self { key, attempts, failure }
    }

    /// The key of the request. `None` where the request's own header holds no readable key or holds two, or where requests
    /// with this method get no key.
    #[must_use]
    pub fn key(&self) -> Option<&ClientKey> {
        self.key.as_ref()
    }

    /// How often the request was sent.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.attempts
    }

    /// Why the request was given up.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        &self.failure
    }

    /// Why the request was given up, with the last answer, if the failure has one.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        self.failure
    }

    /// Finds this error in the error of a client with middleware.
    #[cfg(feature = "middleware")]
    #[must_use]
    pub fn of(error: &reqwest_middleware::Error) -> Option<&Self> {
        match error {
            reqwest_middleware::Error::Middleware(inner) => inner.downcast_ref(),
            reqwest_middleware::Error::Reqwest(_) => None,
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPersisted(source) => f.debug_tuple("NotPersisted").field(source).finish(),
            Self::KeyRefused(source) => f.debug_tuple("KeyRefused").field(source).finish(),
            Self::NotResumed(source) => f.debug_tuple("NotResumed").field(source).finish(),
            Self::NotAnswered(source) => f.debug_tuple("NotAnswered").field(source).finish(),
            Self::Later(answer) => f.debug_tuple("Later").field(&answer.status()).finish(),
            Self::Redirected(source) => f.debug_tuple("Redirected").field(source).finish(),
            Self::TooLarge { status, limit } => {
                f.debug_struct("TooLarge").field("status", status).field("limit", limit).finish()
            }
            Self::NotForgotten { source, answer } => f
                .debug_struct("NotForgotten")
                .field("source", source)
                .field("status", &answer.status())
                .finish(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attempts = self.attempts;
        match &self.failure {
            Failure::NotPersisted(_) => f.write_str("the key was not persisted; nothing was sent"),
            Failure::KeyRefused(_) => f.write_str("nothing was sent"),
            Failure::NotResumed(_) => f.write_str("not resumed; nothing was sent now"),
            Failure::NotAnswered(_) => write!(f, "no answer, given up after sending it {attempts} times"),
            Failure::Later(answer) => {
                write!(f, "{}, given up after sending it {attempts} times", answer.status())
            }
            Failure::Redirected(_) => f.write_str("a redirect that a request with a key does not follow"),
            Failure::TooLarge { status, limit } => {
                write!(f, "{status}, and a body of more than {limit} bytes")
            }
            Failure::NotForgotten { answer, .. } => {
                write!(f, "{}, and the key was not forgotten", answer.status())
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.failure {
            Failure::NotPersisted(source)
            | Failure::NotResumed(source)
            | Failure::NotAnswered(source)
            | Failure::Redirected(source)
            | Failure::NotForgotten { source, .. } => Some(&**source),
            Failure::KeyRefused(source) => Some(source),
            Failure::Later(_) | Failure::TooLarge { .. } => None,
        }
    }
}
