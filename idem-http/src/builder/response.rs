//! Options for what is kept of an answer, and for what clients are told.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::{StatusCode, Uri};

use super::layer_builder::IdempotencyLayerBuilder;
use crate::options::WhenNotRecorded;
use crate::response::kept_headers::KeptHeaders;
use crate::response::problem::Page;
use crate::response::verdict::{ResponseHead, Verdict};

impl IdempotencyLayerBuilder {
    /// How long an answer is replayed: at least as long as clients retry. Default: 24 hours.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.options.retention = retention;
        self
    }

    /// Decides which answers are kept. It is called when a handler's answer begins, and once more after the body when
    /// there are trailers. Default: [`ResponseHead::standard_verdict`].
    pub fn verdict(mut self, verdict: impl Fn(&ResponseHead<'_>) -> Verdict + Send + Sync + 'static) -> Self {
        self.options.verdict = Arc::new(verdict);
        self
    }

    /// Answers of these statuses release the key, so that a retry runs the handler again. Name only statuses that your
    /// handlers answer when they did nothing, such as 401, 403 or 404. This adds to what the
    /// [verdict](IdempotencyLayerBuilder::verdict) releases. Default: none. For a single answer use
    /// [`NotExecuted`](crate::NotExecuted).
    pub fn release_on(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.options.release_on = statuses.into_iter().collect();
        self
    }

    /// Whether an answer may also say by the header [`NOT_EXECUTED`](crate::NOT_EXECUTED) that nothing was executed. Do
    /// not use it in front of anything that passes on the headers of others, such as a proxy: they could make a request
    /// run twice. Default: no.
    pub fn not_executed_header(mut self, is_obeyed: bool) -> Self {
        self.options.not_executed_header = is_obeyed;
        self
    }

    /// Which headers of an answer its retries get as well. Default: [`KeptHeaders::new`].
    pub fn kept_headers(mut self, kept: KeptHeaders) -> Self {
        self.options.kept.headers = kept;
        self
    }

    /// The largest body of an answer that is buffered and kept, in bytes. A longer one reaches the first client whole,
    /// and a retry is told that it was not kept. Keep it below what the store takes for one outcome, headers included.
    /// Default: 960 KiB, where the stores take 1 MiB by default.
    pub fn max_response(mut self, bytes: usize) -> Self {
        self.options.kept.max_body = bytes;
        self
    }

    /// How long an answer's body is buffered. A body that takes longer counts as a stream and is not kept. Default: 10
    /// s.
    pub fn response_timeout(mut self, time: Duration) -> Self {
        self.options.response_timeout = time;
        self
    }

    /// How long the body of an answer that does not declare its length is buffered. A body that is not whole by then
    /// counts as a stream: it goes to its client from its first byte, and is not kept. At most [`response_timeout`](
    /// IdempotencyLayerBuilder::response_timeout). Default: 1 s.
    pub fn stream_after(mut self, time: Duration) -> Self {
        self.options.stream_after = time;
        self
    }

    /// What happens when the handler ran and its answer may not be kept. Default: [`WhenNotRecorded::Answer`].
    pub fn when_not_recorded(mut self, when: WhenNotRecorded) -> Self {
        self.options.not_recorded = when;
        self
    }

    /// The header that marks a replayed answer. Default: `Idempotency-Replayed`.
    pub fn replayed_header(mut self, name: HeaderName) -> Self {
        self.options.replies.replayed_header = name;
        self
    }

    /// A header that tells clients until when the answer of their key is kept, as an HTTP date by this server's clock.
    /// Each answer that is kept has it, and each replay has the same value. Compared with the answer's `Date` it says
    /// for how long. A hint: from then on a request with this key is a new one. Default: none.
    ///
    /// ```
    /// # use idem_http::IdempotencyLayer;
    /// use http::HeaderName;
    ///
    /// # fn layer(store: std::sync::Arc<dyn idem_core::Store>) -> idem_core::Result<IdempotencyLayer> {
    /// # let layer = IdempotencyLayer::builder(store, |_| Ok(idem_core::Scope::shared()))
    /// #     .request_uri(idem_http::RequestUri::Original);
    /// let layer = layer.expires_header(HeaderName::from_static("idempotency-key-expires"));
    /// # layer.build()
    /// # }
    /// ```
    pub fn expires_header(mut self, name: HeaderName) -> Self {
        self.options.expires_header.name = Some(name);
        self
    }

    /// The header that marks an answer when it is unknown whether the answer is kept: the store failed at its
    /// completion, or had failed before, so that the handler ran without a lock. An answer that is certainly not kept
    /// (by a verdict, or because it is too long) does not have this header; its retries get `not_kept`. Default:
    /// `Idempotency-Not-Kept`.
    pub fn not_kept_header(mut self, name: HeaderName) -> Self {
        self.options.not_kept_header = name;
        self
    }

    /// The API's own page about its keys. Problems link to it, and the `type` of a problem is this page with the
    /// problem's code as its fragment. Default: none.
    pub fn documentation(mut self, page: &Uri) -> Self {
        let address = page.to_string();
        // A `Uri` contains neither `>` nor control characters, so nothing in it ends the link early.
        let link = HeaderValue::try_from(format!("<{address}>; rel=\"describedby\""));
        self.options.replies.page = link.ok().map(|link| Page { address: address.into(), link });
        self
    }

    /// What `Retry-After` says to a retry that came while the first request runs, or what is left of the lease if that
    /// is less; rounded up to whole seconds. Default: 1 s.
    pub fn retry_in_flight(mut self, pause: Duration) -> Self {
        self.options.replies.retry_in_flight = pause;
        self
    }

    /// What `Retry-After` says when the store cannot answer, or the server is busy. Default: 1 s.
    pub fn retry_store(mut self, pause: Duration) -> Self {
        self.options.replies.retry_store = pause;
        self
    }
}
