//! The canonical form of a JSON body, where it is exact.

use std::fmt;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Up to this many digits, different decimal numbers are different doubles.
const MAX_DIGITS: usize = 15;
/// Keeps numbers within the range in which a double has that precision.
const MAX_NUMBER_LEN: usize = 40;
const MAX_EXPONENT_DIGITS: usize = 2;

/// Whether the content type is one of JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

/// The canonical form of RFC 8785. `None` for what is not JSON, and when a body that a reader may distinguish from this
/// one would have the same form.
pub(crate) fn canonicalize(body: &[u8]) -> Option<Vec<u8>> {
    if !numbers_are_exact(body) {
        return None;
    }
    let Unique(value) = serde_json::from_slice(body).ok()?;
    serde_json_canonicalizer::to_vec(&value).ok()
}

/// Whether all numbers outside of strings have few enough digits. Invalid JSON may pass: the parser refuses it later.
fn numbers_are_exact(body: &[u8]) -> bool {
    let mut rest = body;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match byte {
            b'"' => after_string(after),
            b'-' | b'0'..=b'9' => {
                let end = rest.iter().position(|byte| !is_number_byte(*byte)).unwrap_or(rest.len());
                let (number, after) = rest.split_at(end);
                if !is_exact(number) {
                    return false;
                }
                after
            }
            _ => after,
        };
    }
    true
}

fn after_string(mut rest: &[u8]) -> &[u8] {
    loop {
        match rest {
            [b'"', after @ ..] => return after,
            [b'\\', _, after @ ..] | [_, after @ ..] => rest = after,
            [] => return rest,
        }
    }
}

fn is_number_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

fn is_exact(number: &[u8]) -> bool {
    let split = number.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(number.len());
    let (mantissa, exponent) = number.split_at(split);
    let digits = |bytes: &[u8]| bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let leading = mantissa.iter().take_while(|byte| matches!(byte, b'-' | b'0' | b'.')).count();
    number.len() <= MAX_NUMBER_LEN
        && digits(exponent) <= MAX_EXPONENT_DIGITS
        && digits(&mantissa[leading..]) <= MAX_DIGITS
}

/// A value without duplicate members: of two, some readers take the first and some the last.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Unique)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = access.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Unique(value))) = access.next_entry::<String, _>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member occurs twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn text(body: &str) -> Option<String> {
        canonicalize(body.as_bytes()).map(|form| String::from_utf8(form).unwrap())
    }

    #[test]
    fn order_space_and_spelling_do_not_matter() {
        let one = text(r#"{ "b": [1.0, 1e2, "\u00e9"], "a": null }"#).unwrap();
        assert_eq!(one, text(r#"{"a":null,"b":[1,100,"é"]}"#).unwrap());
        assert_eq!(one, r#"{"a":null,"b":[1,100,"é"]}"#);
    }

    #[test]
    fn bodies_that_readers_may_tell_apart_have_no_form() {
        for body in [
            r#"{"a":1,"a":2}"#,
            r#"{"x":{"a":1,"a":1}}"#,
            "9007199254740993",
            "1.0000000000000001",
            "1e-400",
            "1e400",
            r#"{"a":1,}"#,
            r#""\ud800""#,
            "",
            "1 2",
        ] {
            assert_eq!(text(body), None, "{body}");
        }
    }

    #[test]
    fn digits_in_strings_are_not_numbers() {
        assert!(text(r#"["12345678901234567890", "\"12345678901234567890"]"#).is_some());
    }

    #[test]
    fn fifteen_digits_are_kept_apart() {
        assert_ne!(text("0.000123456789012345"), text("0.000123456789012344"));
        assert_ne!(text("999999999999999"), text("999999999999998"));
    }

    #[test]
    fn content_types_of_json_are_recognised() {
        for (value, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/json-patch+json", true),
            ("text/plain", false),
            ("application/jsonl", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]);
            assert_eq!(is_json(&headers), json, "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
