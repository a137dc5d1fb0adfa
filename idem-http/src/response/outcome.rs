//! A handler's answer as the outcome that is stored for its key.

use http::{HeaderMap, StatusCode};
use idem_core::{Outcome, UnavailableReason};

use super::codec;
use super::kept_headers::KeptHeaders;

/// What is kept of an answer.
#[derive(Debug, Clone)]
pub(crate) struct KeptParts {
    pub(crate) headers: KeptHeaders,
    /// The longest body that is kept, in bytes.
    pub(crate) max_body: usize,
}

impl KeptParts {
    /// The outcome to store for an answer.
    pub(crate) fn outcome(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        trailers: Option<&HeaderMap>,
    ) -> Result<Outcome, NotKept> {
        let most = self.max_body;
        if body.len() > most {
            return Err(NotKept::TooLarge { most });
        }
        let encoded = codec::encode(status, headers, body, trailers, &self.headers);
        encoded.map(Outcome::Value).ok_or(NotKept::NotEncodable)
    }
}

/// Why a response cannot be the answer of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotKept {
    /// The response is longer than [`max_response`](crate::IdempotencyLayerBuilder::max_response).
    #[error("the answer is longer than the {most} bytes that are kept")]
    TooLarge {
        /// The limit, in bytes.
        most: usize,
    },
    /// The headers of the response cannot be stored, as when there are too many of them.
    #[error("the answer cannot be encoded")]
    NotEncodable,
    /// The body of the response took too long, or broke off.
    #[error("the body of the answer took too long, or broke off")]
    NotWhole,
}

impl NotKept {
    pub(crate) fn reason(self) -> UnavailableReason {
        match self {
            Self::TooLarge { .. } => UnavailableReason::TooLarge,
            Self::NotEncodable => UnavailableReason::NotEncodable,
            Self::NotWhole => UnavailableReason::Other,
        }
    }
}
