//! A multipart body (RFC 2046) without its boundary: clients make a new boundary each time they send.

use std::ops::Range;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use memchr::memmem;

/// The longest boundary that RFC 2046 allows.
const MAX_BOUNDARY_LEN: usize = 70;
/// No form has more delimiters than this; a body that does is not worth the time.
const MAX_DELIMITERS: usize = 1_000;

/// A body whose boundary occurs only where a delimiter may stand, so that the boundary itself has no meaning.
///
/// A media type, pieces and a boundary make exactly one body: two requests with the same media type and pieces differ
/// in the boundary alone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Multipart<'a> {
    /// `Content-Type` before and after the boundary.
    media_type: [&'a str; 2],
    body: &'a [u8],
    /// Where the delimiters are, each with the line end that belongs to it.
    delimiters: Vec<Range<usize>>,
}

impl<'a> Multipart<'a> {
    /// `None` for other bodies, and where readers may disagree on what the parts are.
    pub(crate) fn of(headers: &'a HeaderMap, body: &'a [u8]) -> Option<Self> {
        let mut values = headers.get_all(CONTENT_TYPE).iter();
        let (Some(content_type), None) = (values.next(), values.next()) else { return None };
        let content_type = content_type.to_str().ok()?;
        let is_multipart =
            content_type.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"));
        if !is_multipart || headers.contains_key(CONTENT_ENCODING) {
            return None;
        }
        let (media_type, boundary) = split_boundary(content_type)?;
        Some(Self { media_type, body, delimiters: delimiters(body, boundary)? })
    }

    /// The content type without its boundary.
    pub(crate) fn media_type(&self) -> String {
        self.media_type.join("boundary")
    }

    /// What is before, between and after the delimiters, and whether the first one begins the body.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &'a [u8]> {
        let body = self.body;
        let starts_at_once = self.delimiters.first().is_some_and(|first| first.start == 0);
        // Distinguishes a delimiter that begins the body from one after an empty line.
        let first: &[u8] = if starts_at_once { b"at once" } else { b"later" };
        let starts = std::iter::once(0).chain(self.delimiters.iter().map(|delimiter| delimiter.end));
        let ends = self.delimiters.iter().map(|delimiter| delimiter.start).chain([body.len()]);
        let pieces =
            starts.zip(ends).skip(usize::from(starts_at_once)).map(move |(from, to)| &body[from..to]);
        std::iter::once(first).chain(pieces)
    }
}

/// Where the delimiters are. `None` unless every reader takes each occurrence of the boundary for a delimiter, on a
/// line of its own and the closing one last.
fn delimiters(body: &[u8], boundary: &str) -> Option<Vec<Range<usize>>> {
    let dashed = format!("--{boundary}");
    let finder = memmem::Finder::new(&dashed);
    let (mut found, mut from, mut is_closed) = (Vec::new(), 0, false);
    while let Some(at) = finder.find(&body[from..]).map(|at| from + at) {
        let line = match at {
            0 => 0,
            _ if body[..at].ends_with(b"\r\n") => at - 2,
            _ => return None,
        };
        let end = at + dashed.len();
        // An empty preamble: readers differ on whether its line end belongs to the delimiter.
        if is_closed
            || found.len() == MAX_DELIMITERS
            || at > 0 && line == 0
            || found.last().is_some_and(|last: &Range<usize>| last.end > line)
        {
            return None;
        }
        let rest = &body[end..];
        let closing = rest.strip_prefix(b"--").filter(|rest| ends_line(rest) || is_blank(rest));
        is_closed = closing.is_some();
        if !is_closed && !ends_line(rest) {
            return None;
        }
        found.push(line..end);
        from = at + 1;
    }
    (!found.is_empty()).then_some(found)
}

/// Whether nothing but white space comes before the end of the line.
fn ends_line(rest: &[u8]) -> bool {
    let text = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t'));
    text.is_some_and(|at| rest[at..].starts_with(b"\r\n"))
}

fn is_blank(rest: &[u8]) -> bool {
    rest.iter().all(|byte| matches!(byte, b' ' | b'\t'))
}

/// The content type before and after its only parameter `boundary`, and the value of that without quotes.
fn split_boundary(content_type: &str) -> Option<([&str; 2], &str)> {
    let mut found = None;
    let mut at = 0;
    for parameter in content_type.split(';') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let name = name.trim().to_ascii_lowercase();
        if name == "boundary" && found.is_none() {
            found = Some((at, at + parameter.len(), value.trim()));
        } else if name.starts_with("boundary") || parameter.contains('"') {
            // A second boundary, in whatever form, or a quoted string that may hide a separator: readers differ.
            return None;
        }
        at += parameter.len() + 1;
    }
    let (from, to, value) = found?;
    let unquoted = value.strip_prefix('"').map_or(Some(value), |rest| rest.strip_suffix('"'))?;
    let is_boundary = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let is_valid = (1..=MAX_BOUNDARY_LEN).contains(&unquoted.len())
        && unquoted.bytes().all(is_boundary)
        && !unquoted.ends_with(' ');
    is_valid.then_some(([&content_type[..from], &content_type[to..]], unquoted))
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

    /// The media type and the pieces, if the boundary does not count.
    fn read(kind: &str, body: &str) -> Option<(String, Vec<String>)> {
        let headers = headers(kind);
        let multipart = Multipart::of(&headers, body.as_bytes())?;
        let pieces = multipart.pieces().map(|piece| String::from_utf8_lossy(piece).into_owned());
        Some((multipart.media_type(), pieces.collect()))
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
            "multipart/form-data; boundary=one; boundary*=utf-8''two",
            "multipart/form-data; boundary=one; start=\"; boundary=two\"",
            "multipart/form-data; boundary=on\u{e9}",
            "multipart/form-data; boundary=two",
            "text/plain; boundary=one",
        ] {
            assert_eq!(read(kind, body), None, "{kind}");
        }
        // A boundary that is a prefix of another line, and delimiters where none may be.
        for body in [
            "--one\r\n\r\n\r\n--ones\r\n--one--",
            "--ones\r\n--one--",
            "\r\n--one\r\n\r\n--one--",
            "--one\r\n\r\n--one--\r\n--one\r\n\r\n",
            "none",
        ] {
            assert_eq!(read("multipart/form-data; boundary=one", body), None, "{body:?}");
        }
        let mut twice = headers("multipart/form-data; boundary=one");
        twice.append(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        assert_eq!(Multipart::of(&twice, body.as_bytes()), None);
        let mut encoded = headers("multipart/form-data; boundary=one");
        encoded.append(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(Multipart::of(&encoded, body.as_bytes()), None);
    }

    #[test]
    fn a_body_of_boundaries_alone_is_taken_as_it_was_sent() {
        let body = "--b\r\n".to_owned() + &"\r\n--b\r\n".repeat(MAX_DELIMITERS);
        assert_eq!(read("multipart/form-data; boundary=b", &body), None);
    }

    proptest! {
        /// Hence two bodies of the same pieces differ in the boundary alone.
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
