//! Telling clients until when their keys have their answers.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, Response};
use idem_core::Lease;
use idem_core::backend::limits::nearest_retention;
use idem_core::clock::{SystemClock, Timestamp};

use crate::builder::IdempotencyLayerBuilder;
use crate::layer::Shared;

impl IdempotencyLayerBuilder {
    /// A header that tells clients until when their key has its answer, as an HTTP date by this server's clock: on what is
    /// kept, from its execution on and the same on each replay. Beside the answer's `Date` it says how long that is. A hint:
    /// from then on a request with this key is a new one. Default: none.
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
        self.options.expires_header = Some(name);
        self
    }
}

/// The last second that an HTTP date can say.
const END_OF_DATES: Duration = Duration::from_secs(253_402_300_799);

impl Shared {
    /// Says, where the application wants it, until when what is kept now for `retention` is replayed.
    pub(crate) fn tell_expiry(&self, headers: &mut HeaderMap, retention: Duration, lease: &Lease) {
        let Some(name) = &self.options.expires_header else { return };
        let kept = nearest_retention(retention).max(lease.remaining());
        match date(SystemClock::shared().wall(), kept) {
            Some(date) => headers.insert(name, date),
            None => headers.remove(name),
        };
    }

    /// Of an answer that is not kept, or may not be.
    pub(crate) fn without_expiry<B>(&self, mut response: Response<B>) -> Response<B> {
        if let Some(name) = &self.options.expires_header {
            response.headers_mut().remove(name);
        }
        response
    }
}

/// `None` where a clock is so wrong that there is no date to say.
fn date(now: Timestamp, kept: Duration) -> Option<HeaderValue> {
    let since = Duration::from_micros(now.as_micros()).checked_add(kept)?;
    let until = UNIX_EPOCH.checked_add(since).filter(|_| since <= END_OF_DATES)?;
    HeaderValue::try_from(httpdate::fmt_http_date(until)).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn no_clock_and_no_retention_makes_it_panic() {
        let start = Timestamp::from_micros(0);
        assert_eq!(date(start, Duration::from_mins(1)).unwrap(), "Thu, 01 Jan 1970 00:01:00 GMT");
        assert_eq!(date(start, END_OF_DATES).unwrap(), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(date(start, END_OF_DATES + Duration::from_secs(1)), None);
        assert_eq!(date(Timestamp::from_micros(u64::MAX), Duration::from_secs(1)), None);
        assert_eq!(date(start, Duration::MAX), None);
    }
}
