//! Reading the client's key from its header.

use std::borrow::Cow;
use std::fmt;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use sfv::visitor::{Ignored, ParameterVisitor, parameter_visitor_with};
use sfv::{BareItemFromInput, Parser, StringRef};

/// More than a key of 255 characters with sensible parameters can take.
const MAX_FIELD_LEN: usize = 4096;

/// How the value of the header is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum KeySyntax {
    /// The syntax of the draft: a String of RFC 9651, in quotes. Anything else is answered with 400.
    Strict,
    /// Also a bare key, as many clients send it: one field line of visible ASCII without `"`, `,`, `;` and space. `abc`
    /// and `"abc"` are the same key. A malformed value in quotes is still answered with 400.
    #[default]
    Lenient,
}

/// The key that the client chose, as it sent it: 1 to 255 characters of printable ASCII.
///
/// `Debug` does not show it: whoever knows a key can ask for its answer.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Box<str>);

impl IdempotencyKey {
    /// The key, without quotes and escapes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdempotencyKey({} characters)", self.0.len())
    }
}

/// Why a header that was sent holds no key. Shows nothing of what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("the request carries more than one of the headers that may hold the key")]
    TwoHeaders,
    #[error("the header is longer than {MAX_FIELD_LEN} bytes")]
    TooLong,
    #[error(
        "the header is not a String of RFC 9651: one value in double quotes, of printable ASCII, in which only \
         \" and \\ are escaped"
    )]
    Malformed,
}

/// The key in the one of `names` that the request carries; `None` when it carries none of them.
pub(crate) fn read(
    headers: &HeaderMap,
    names: &[HeaderName],
    syntax: KeySyntax,
) -> Result<Option<IdempotencyKey>, KeyError> {
    let mut present = names.iter().filter_map(|name| {
        let mut lines = headers.get_all(name).iter();
        lines.next().map(|first| (first, lines))
    });
    let Some((first, others)) = present.next() else { return Ok(None) };
    if present.next().is_some() {
        return Err(KeyError::TwoHeaders);
    }
    let field = join(first.as_bytes(), others)?;
    if field.len() > MAX_FIELD_LEN {
        return Err(KeyError::TooLong);
    }
    if syntax == KeySyntax::Lenient
        && let Some(bare) = bare_key(&field)
    {
        return Ok(Some(IdempotencyKey(bare.into())));
    }
    Parser::new(&field[..])
        .parse_item_with_visitor(string_item)
        .map(|key| Some(IdempotencyKey(key.as_str().into())))
        .map_err(|_| KeyError::Malformed)
}

/// Joins the lines of a field into its value (RFC 9110, section 5.3).
fn join<'a>(
    first: &'a [u8],
    others: impl Iterator<Item = &'a HeaderValue>,
) -> Result<Cow<'a, [u8]>, KeyError> {
    let mut field = Cow::Borrowed(first);
    for line in others {
        if field.len() + line.len() > MAX_FIELD_LEN {
            return Err(KeyError::TooLong);
        }
        let joined = field.to_mut();
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(line.as_bytes());
    }
    Ok(field)
}

/// The field as a bare key. Joined lines are not a bare key: they contain a comma.
fn bare_key(field: &[u8]) -> Option<&str> {
    let field = field.trim_ascii();
    let fits = |byte: &u8| matches!(byte, 0x21..=0x7E) && !matches!(byte, b'"' | b',' | b';');
    if field.is_empty() || !field.iter().all(fits) {
        return None;
    }
    str::from_utf8(field).ok()
}

#[derive(Debug, thiserror::Error)]
#[error("not a string")]
struct NotAString;

fn string_item(
    item: BareItemFromInput<'_>,
) -> Result<impl ParameterVisitor<'_, Out = Cow<'_, StringRef>>, NotAString> {
    match item {
        BareItemFromInput::String(string) => Ok(parameter_visitor_with(Ignored, move |()| Ok(string))),
        _ => Err(NotAString),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn read_lines(lines: &[&str], syntax: KeySyntax) -> Result<Option<String>, KeyError> {
        let name = HeaderName::from_static("idempotency-key");
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        read(&headers, &[name], syntax).map(|key| key.map(|key| key.as_str().to_owned()))
    }

    #[test]
    fn bare_and_quoted_are_the_same_key_in_lenient_mode_only() {
        let key = "stripe-node-retry-8e03978e-40d5-43dd-bc93-6894a57f9324";
        let quoted = format!("\"{key}\"");
        assert_eq!(read_lines(&[key], KeySyntax::Lenient).unwrap().unwrap(), key);
        assert_eq!(read_lines(&[&quoted], KeySyntax::Lenient).unwrap().unwrap(), key);
        assert_eq!(read_lines(&[key], KeySyntax::Strict), Err(KeyError::Malformed));
    }

    #[test]
    fn a_bare_key_is_one_line_without_structure() {
        for lines in
            [&["a b"][..], &["a;b"], &["a,b"], &["a\"b"], &["a", "b"], &[""], &[" "], &["\"a"], &["kö"]]
        {
            assert_eq!(read_lines(lines, KeySyntax::Lenient), Err(KeyError::Malformed), "{lines:?}");
        }
    }

    #[test]
    fn lines_are_joined_before_they_are_read() {
        let half = ["\"a", "b\""];
        assert_eq!(read_lines(&half, KeySyntax::Strict).unwrap().unwrap(), "a, b");
        assert_eq!(read_lines(&["\"a\"", "\"b\""], KeySyntax::Strict), Err(KeyError::Malformed));
    }

    #[test]
    fn thousands_of_lines_are_refused_before_they_are_joined() {
        let lines = vec!["\"aaaaaaaa\""; 10_000];
        assert_eq!(read_lines(&lines, KeySyntax::Lenient), Err(KeyError::TooLong));
    }
}
