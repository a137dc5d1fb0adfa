//! Telling clients until when their keys have their answers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::builder::Builder;
use crate::layer::Shared;

impl Builder {
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

/// The last year that an HTTP date can say is 9999.
const END_OF_DATES: Duration = Duration::from_secs(253_402_300_799);

impl Shared {
    /// Says, where the application wants it, until when what is kept now for `retention` is replayed.
    pub(crate) fn tell_expiry(&self, headers: &mut HeaderMap, retention: Duration) {
        if let Some(name) = &self.options.expires_header
            && let Some(date) = date(SystemTime::now(), retention)
        {
            headers.insert(name, date);
        }
    }
}

/// `None` where a clock is so wrong that there is no date to say.
fn date(now: SystemTime, retention: Duration) -> Option<HeaderValue> {
    let until = now.checked_add(retention)?;
    until.duration_since(UNIX_EPOCH).ok().filter(|since| *since <= END_OF_DATES)?;
    HeaderValue::try_from(httpdate::fmt_http_date(until)).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn no_clock_and_no_retention_makes_it_panic() {
        assert_eq!(date(UNIX_EPOCH, Duration::from_secs(60)).unwrap(), "Thu, 01 Jan 1970 00:01:00 GMT");
        let last = UNIX_EPOCH + END_OF_DATES;
        assert_eq!(date(last, Duration::ZERO).unwrap(), "Fri, 31 Dec 9999 23:59:59 GMT");
        for (now, retention) in [
            (last, Duration::from_secs(1)),
            (UNIX_EPOCH - Duration::from_secs(10), Duration::from_secs(1)),
            (UNIX_EPOCH, Duration::MAX),
        ] {
            assert_eq!(date(now, retention), None, "{retention:?}");
        }
    }
}
