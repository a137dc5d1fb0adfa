//! Multipart forms that readers may take for two different requests have two fingerprints.

use bytes::Bytes;
use http::Request;
use idem_http::FingerprintRecipe;

fn form(boundary: &str, body: &str) -> idem_core::Fingerprint {
    let kind = format!("multipart/form-data; boundary={boundary}");
    let (parts, ()) = Request::post("/").header("content-type", kind).body(()).unwrap().into_parts();
    FingerprintRecipe::new().fingerprint(&parts, &Bytes::from(body.to_owned()))
}

/// For axum (multer) the first boundary may stand anywhere, not only at the beginning of a line: it reads `cents = 100`
/// from the first form and not from the second.
#[test]
fn forms_that_differ_in_what_a_boundary_within_the_preamble_begins_are_two_requests() {
    let body = |boundary: &str| {
        format!(
            "x--one\r\nContent-Disposition: form-data; name=\"cents\"\r\n\r\n100\
             \r\n--{boundary}\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\nme\r\n--{boundary}--\r\n"
        )
    };
    assert_ne!(form("one", &body("one")), form("two", &body("two")));
}

/// Many readers accept a line that ends with LF alone (in Go, Python, PHP behind a proxy).
#[test]
fn forms_that_differ_in_what_a_boundary_after_a_bare_line_feed_parts_are_two_requests() {
    let body = |boundary: &str| {
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\n--one\nContent-Disposition: \
             form-data; name=\"cents\"\n\n100\r\n--{boundary}--\r\n"
        )
    };
    assert_ne!(form("one", &body("one")), form("two", &body("two")));
}

/// RFC 2046: a delimiter line is the boundary and white space; with anything else in it the line is content.
#[test]
fn forms_that_differ_in_a_line_that_only_begins_like_a_boundary_are_two_requests() {
    let body = |boundary: &str| {
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n--{boundary} cents\r\n\
             \r\n--{boundary}--\r\n"
        )
    };
    assert_ne!(form("one", &body("one")), form("two", &body("two")));
}
