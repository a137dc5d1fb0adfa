//! The header that tells clients until when the answer of their key is kept.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, Response};
use idem_core::Lease;
use idem_core::backend::limits::nearest_retention;
use idem_core::clock::{SystemClock, Timestamp};

/// The name of the header, if the application wants one.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExpiryHeader {
    pub(crate) name: Option<HeaderName>,
}

/// The last second that an HTTP date can say.
const LAST_DATE: Duration = Duration::from_secs(253_402_300_799);

impl ExpiryHeader {
    /// Sets the header to the end of an answer that is kept for `retention` from now on.
    pub(crate) fn set(&self, headers: &mut HeaderMap, retention: Duration, lease: &Lease) {
        let Some(name) = &self.name else { return };
        let kept = nearest_retention(retention).max(lease.remaining());
        match date(SystemClock::shared().wall(), kept) {
            Some(date) => headers.insert(name, date),
            None => headers.remove(name),
        };
    }

    /// Removes the header, from an answer that is not kept or may not be.
    pub(crate) fn without<B>(&self, mut response: Response<B>) -> Response<B> {
        if let Some(name) = &self.name {
            response.headers_mut().remove(name);
        }
        response
    }
}

/// `None` past the last date, as when a clock is very wrong.
fn date(now: Timestamp, kept: Duration) -> Option<HeaderValue> {
    let since = Duration::from_micros(now.as_micros()).checked_add(kept)?;
    let until = UNIX_EPOCH.checked_add(since).filter(|_| since <= LAST_DATE)?;
    HeaderValue::try_from(httpdate::fmt_http_date(until)).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn no_clock_or_retention_causes_a_panic() {
        let start = Timestamp::from_micros(0);
        assert_eq!(date(start, Duration::from_mins(1)).unwrap(), "Thu, 01 Jan 1970 00:01:00 GMT");
        assert_eq!(date(start, LAST_DATE).unwrap(), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(date(start, LAST_DATE + Duration::from_secs(1)), None);
        assert_eq!(date(Timestamp::from_micros(u64::MAX), Duration::from_secs(1)), None);
        assert_eq!(date(start, Duration::MAX), None);
    }
}
