//! How long a server asks to wait: `Retry-After`.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The pause that the answer asks for, in seconds or until a date. The date is relative to the answer's own `Date`, so that
/// only the server's clock matters. Without `Date`, it is relative to `now`, by a clock that may differ from the server's;
/// the pause is then at most `longest`, so that a wrong clock does not cause hours of waiting.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime, longest: Duration) -> Option<Duration> {
    // Of several values the longest counts.
    headers
        .get_all(RETRY_AFTER)
        .iter()
        .filter_map(|value| asked(value.to_str().ok()?, headers, now, longest))
        .max()
}

fn asked(text: &str, headers: &HeaderMap, now: SystemTime, longest: Duration) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that is too large to represent means forever.
        return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let date = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    // A date in the past asks for no pause.
    let wait = |from| until.duration_since(from).unwrap_or(Duration::ZERO);
    Some(date.map_or_else(|| wait(now).min(longest), wait))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    const LONGEST: Duration = Duration::from_secs(10);
    const NOON: &str = "Tue, 15 Nov 1994 12:00:00 GMT";
    const LATER: &str = "Tue, 15 Nov 1994 12:00:07 GMT";

    fn of(pairs: &[(&'static str, &'static str)], now: SystemTime) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        retry_after(&headers, now, LONGEST)
    }

    fn noon() -> SystemTime {
        httpdate::parse_http_date(NOON).unwrap()
    }

    #[test]
    fn any_number_of_seconds_is_read() {
        assert_eq!(of(&[("retry-after", "7")], noon()), Some(Duration::from_secs(7)));
        assert_eq!(of(&[("retry-after", "99999999999999999999999")], noon()), Some(Duration::MAX));
        for nonsense in ["", "-7", "+7", "7.5", "soon", "0x7"] {
            assert_eq!(of(&[("retry-after", nonsense)], noon()), None, "{nonsense}");
        }
    }

    #[test]
    fn a_date_is_relative_to_the_date_of_the_answer() {
        let year = Duration::from_hours(365 * 24);
        for now in [noon(), noon() - year, noon() + year] {
            assert_eq!(of(&[("retry-after", LATER), ("date", NOON)], now), Some(Duration::from_secs(7)));
            assert_eq!(of(&[("retry-after", NOON), ("date", LATER)], now), Some(Duration::ZERO));
        }
    }

    #[test]
    fn a_date_alone_is_relative_to_this_clock_and_bounded() {
        assert_eq!(of(&[("retry-after", LATER)], noon()), Some(Duration::from_secs(7)));
        assert_eq!(of(&[("retry-after", LATER), ("date", "broken")], noon()), Some(Duration::from_secs(7)));
        let hour = Duration::from_hours(1);
        assert_eq!(of(&[("retry-after", LATER)], noon() - hour), Some(LONGEST));
        assert_eq!(of(&[("retry-after", LATER)], noon() + hour), Some(Duration::ZERO));
    }

    #[test]
    fn the_longest_of_several_values_counts() {
        assert_eq!(of(&[("retry-after", "1"), ("retry-after", "7")], noon()), Some(Duration::from_secs(7)));
        assert_eq!(
            of(&[("retry-after", "soon"), ("retry-after", "7")], noon()),
            Some(Duration::from_secs(7))
        );
    }
}
