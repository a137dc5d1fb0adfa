//! A body in parts (RFC 2046), without the boundary between them: clients make a new one for each sending.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

/// The longest boundary that RFC 2046 allows.
const LONGEST: usize = 70;

/// A request whose boundary stands only where one may: what the boundary is says nothing.
///
/// Of the kind, the pieces and a boundary there is one body, so that two requests of the same kind and pieces differ in
/// the boundary alone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Multipart<'a> {
    /// What stands in `Content-Type` before and after the boundary.
    kind: [&'a str; 2],
    boundary: &'a [u8],
    body: &'a [u8],
}

impl<'a> Multipart<'a> {
    /// `None` for what is no such body, and where it is in doubt what its parts are.
    pub(crate) fn of(headers: &'a HeaderMap, body: &'a [u8]) -> Option<Self> {
        let mut kinds = headers.get_all(CONTENT_TYPE).iter();
        let (Some(kind), None) = (kinds.next(), kinds.next()) else { return None };
        let kind = kind.to_str().ok()?;
        let is_multipart = kind.get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/"));
        if !is_multipart || headers.contains_key(CONTENT_ENCODING) {
            return None;
        }
        let (kind, boundary) = without_boundary(kind)?;
        let multipart = Self { kind, boundary: boundary.as_bytes(), body };
        multipart.is_plain().then_some(multipart)
    }

    /// The content type without its boundary.
    pub(crate) fn kind(&self) -> String {
        self.kind.join("boundary")
    }

    /// What stands before, between and after the boundaries. The first one may begin the body, others a line.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let Self { boundary, body, .. } = *self;
        let at_once = body.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(boundary));
        // Said, so that a boundary at once is not one after an empty line.
        let first: &[u8] = if at_once.is_some() { b"at once" } else { b"later" };
        let mut rest = Some(at_once.unwrap_or(body));
        let pieces = std::iter::from_fn(move || {
            let whole = rest?;
            let (piece, after) = match delimiter(whole, boundary) {
                Some(at) => (&whole[..at], Some(&whole[at + 4 + boundary.len()..])),
                None => (whole, None),
            };
            rest = after;
            Some(piece)
        });
        std::iter::once(first).chain(pieces)
    }

    /// Whether each boundary is followed by what may follow one. A longer one inside that begins alike is no boundary to
    /// some readers.
    fn is_plain(&self) -> bool {
        let mut pieces = self.pieces();
        let begins_at_once = pieces.next() == Some(b"at once");
        let preamble = if begins_at_once { None } else { pieces.next() };
        let mut parts = pieces.peekable();
        let has_parts = parts.peek().is_some();
        let is_end =
            |piece: &[u8]| [&b"\r\n"[..], b"--", b" ", b"\t"].iter().any(|end| piece.starts_with(end));
        has_parts && preamble.is_none_or(|preamble| !preamble.is_empty()) && parts.all(is_end)
    }
}

/// Where `CRLF--boundary` stands next.
fn delimiter(bytes: &[u8], boundary: &[u8]) -> Option<usize> {
    let mut from = 0;
    // A boundary has no CR, so that no byte is looked at more than twice.
    while let Some(found) = bytes[from..].iter().position(|byte| *byte == b'\r') {
        let at = from + found;
        let is_one = bytes[at..].strip_prefix(b"\r\n--").is_some_and(|rest| rest.starts_with(boundary));
        if is_one {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// What stands around the value of the one parameter `boundary`, and that value without quotes.
fn without_boundary(kind: &str) -> Option<([&str; 2], &str)> {
    let mut found = None;
    let mut at = 0;
    for parameter in kind.split(';') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name.trim().eq_ignore_ascii_case("boundary") {
            // Two of them, and readers choose.
            if found.is_some() {
                return None;
            }
            found = Some((at, at + parameter.len(), value.trim()));
        }
        at += parameter.len() + 1;
    }
    let (from, to, value) = found?;
    let unquoted = value.strip_prefix('"').map_or(Some(value), |rest| rest.strip_suffix('"'))?;
    let is_boundary = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let is_valid = (1..=LONGEST).contains(&unquoted.len())
        && unquoted.bytes().all(is_boundary)
        && !unquoted.ends_with(' ');
    is_valid.then_some(([&kind[..from], &kind[to..]], unquoted))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(kind: &str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap())])
    }

    /// The kind and the pieces, if the boundary does not count.
    fn read(kind: &str, body: &str) -> Option<(String, Vec<String>)> {
        let headers = headers(kind);
        let multipart = Multipart::of(&headers, body.as_bytes())?;
        let pieces = multipart.pieces().map(|piece| String::from_utf8_lossy(piece).into_owned());
        Some((multipart.kind(), pieces.collect()))
    }

    #[test]
    fn the_boundary_alone_is_left_out() {
        let (kind, pieces) = read(
            "multipart/form-data; boundary=one; charset=utf-8",
            "--one\r\nA: 1\r\n\r\nfirst\r\n--one\r\n\r\nsecond\r\n--one--\r\n",
        )
        .unwrap();
        assert_eq!(kind, "multipart/form-data;boundary; charset=utf-8");
        assert_eq!(pieces, ["at once", "\r\nA: 1\r\n\r\nfirst", "\r\n\r\nsecond", "--\r\n"]);
        let (_, pieces) =
            read("Multipart/mixed; Boundary=\"a b\"", "preamble\r\n--a b\r\n\r\n\r\n--a b--").unwrap();
        assert_eq!(pieces, ["later", "preamble", "\r\n\r\n", "--"]);
    }

    #[test]
    fn what_is_in_doubt_is_taken_as_it_was_sent() {
        let body = "--one\r\n\r\nfirst\r\n--one--";
        for kind in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"one",
            "multipart/form-data; boundary=one; boundary=two",
            "multipart/form-data; boundary=on\u{e9}",
            "multipart/form-data; boundary=two",
            "text/plain; boundary=one",
        ] {
            assert_eq!(read(kind, body), None, "{kind}");
        }
        // Within a longer one that begins alike, and where nothing may stand.
        for body in
            ["--one\r\n\r\n\r\n--ones\r\n--one--", "--ones\r\n--one--", "\r\n--one\r\n\r\n--one--", "none"]
        {
            assert_eq!(read("multipart/form-data; boundary=one", body), None, "{body:?}");
        }
        let mut twice = headers("multipart/form-data; boundary=one");
        twice.append(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        assert_eq!(Multipart::of(&twice, body.as_bytes()), None);
        let mut encoded = headers("multipart/form-data; boundary=one");
        encoded.append(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(Multipart::of(&encoded, body.as_bytes()), None);
    }

    proptest! {
        /// So two bodies of the same pieces differ in the boundary alone.
        #[test]
        fn a_body_is_its_pieces_with_the_boundary_between_them(
            body in proptest::collection::vec(prop_oneof!["--b", "\r\n--b", "\r\n", "--", "b", " ", "text", "\r"], 0..12),
        ) {
            let body = body.concat();
            let headers = headers("multipart/form-data; boundary=b");
            if let Some(multipart) = Multipart::of(&headers, body.as_bytes()) {
                let mut pieces = multipart.pieces();
                let start: &[u8] = if pieces.next() == Some(b"at once") { b"--b" } else { b"" };
                let joined = [start, &pieces.collect::<Vec<_>>().join(&b"\r\n--b"[..])].concat();
                prop_assert_eq!(joined, body.as_bytes());
            }
        }
    }
}
