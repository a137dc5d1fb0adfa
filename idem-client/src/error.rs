//! Why a request was given up.

use std::fmt;

use reqwest::{Response, StatusCode};

use crate::box_error::BoxError;
use crate::request::key::{ClientKey, KeyError};

/// A request that came to no final answer. It may have been executed, unless [`failure`](Error::failure) says that
/// nothing was sent: keep the [`key`](Error::key), and send the same request with it again.
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
/// `Debug` shows no path, query, header or body, neither of the request nor of the answer; of a redirect that was refused
/// it shows the origin that it led to.
#[non_exhaustive]
pub enum Failure {
    /// The hook that keeps keys failed. Nothing was sent.
    NotPersisted(BoxError),
    /// The request has two keys. Nothing was sent.
    KeyRefused(KeyError),
    /// It cannot be resumed: a secret is missing, its body was a stream, or it is too old. Nothing was sent now.
    NotResumed(BoxError),
    /// The last attempt failed, by a lost connection, say, or by an answer that broke off or did not come in time.
    NotAnswered(BoxError),
    /// The last answer asked to come back later: 409 while the first request runs, 408, 425, 429, 502, 503 or 504. Its
    /// body is in memory, up to 64 KiB of it.
    Later(Box<Response>),
    /// The answer was a redirect to another origin, or one that would have changed the method.
    Redirected(BoxError),
    /// The answer is final, and its body is longer than the limit. Ask for it with the same key, by a client that does
    /// not read bodies.
    TooLarge {
        /// Of the answer.
        status: StatusCode,
        /// What [`read_body`](crate::IdempotentClient::read_body) allows, in bytes.
        limit: usize,
    },
    /// The answer is final, and the hook that forgets keys failed.
    NotForgotten {
        /// What the hook says.
        source: BoxError,
        /// The answer, with its body.
        answer: Box<Response>,
    },
}

impl Error {
    pub(crate) fn new(key: Option<ClientKey>, attempts: usize, failure: Failure) -> Self {
        Self { key, attempts, failure }
    }

    /// The key with which it was sent. None where the request's own header holds none that can be read or holds two,
    /// or its method takes none.
    #[must_use]
    pub fn key(&self) -> Option<&ClientKey> {
        self.key.as_ref()
    }

    /// How often it was sent.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.attempts
    }

    /// Why it was given up.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        &self.failure
    }

    /// Why it was given up, with the last answer, if there was one.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        self.failure
    }

    /// This error, where a client with middleware answers it as one of its own.
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
