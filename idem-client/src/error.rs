//! Giving up.

use std::fmt;

use reqwest::Response;

use crate::{BoxError, ClientKey};

/// A request that came to no final answer. It may have been executed, unless [`failure`](Error::failure) says that
/// it was not sent: keep the [`key`](Error::key), and send the same request with it again.
#[derive(Debug)]
pub struct Error {
    key: Option<ClientKey>,
    attempts: usize,
    failure: Failure,
}

/// Why a request was given up.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The hook that keeps keys failed. Nothing was sent.
    NotPersisted(BoxError),
    /// The last sending failed, by a lost connection, say.
    NotAnswered(BoxError),
    /// The last answer asked to come back later: 409 while the first request runs, 429, 502, 503 or 504.
    Later(Box<Response>),
}

impl Error {
    pub(crate) fn new(key: Option<ClientKey>, attempts: usize, failure: Failure) -> Self {
        Self { key, attempts, failure }
    }

    /// The key with which it was sent. None where the request's own header holds none that can be read, or its
    /// method takes none.
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            Failure::NotPersisted(_) => f.write_str("the key was not persisted; nothing was sent"),
            Failure::NotAnswered(_) => {
                write!(f, "no answer, given up after sending it {} times", self.attempts)
            }
            Failure::Later(answer) => {
                write!(f, "{}, given up after sending it {} times", answer.status(), self.attempts)
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.failure {
            Failure::NotPersisted(source) | Failure::NotAnswered(source) => Some(&**source),
            Failure::Later(_) => None,
        }
    }
}
