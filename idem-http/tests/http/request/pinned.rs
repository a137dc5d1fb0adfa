//! Fingerprints that stores already hold: a version that computes others would refuse retries with 422.

use axum::extract::OriginalUri;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request};
use idem_http::FingerprintRecipe;

/// Several headers that count, not in the recipe's order, one of them twice; and a custom one with a long name.
fn headers() -> HeaderMap {
    let long = HeaderName::try_from("x-".to_owned() + &"l".repeat(70)).unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (long, "1"),
        (HeaderName::from_static("x-method-override"), "PUT"),
        (HeaderName::from_static("prefer"), "a"),
        (HeaderName::from_static("host"), "example.org"),
        (HeaderName::from_static("if-match"), "\"1\""),
        (HeaderName::from_static("prefer"), "b"),
        (HeaderName::from_static("content-type"), "application/json"),
    ] {
        headers.append(name, value.parse().unwrap());
    }
    headers
}

fn fingerprint(recipe: &FingerprintRecipe, headers: &HeaderMap, body: &Bytes) -> String {
    let mut request = Request::post("/charge?now=1").body(()).unwrap();
    request.headers_mut().clone_from(headers);
    request.extensions_mut().insert(OriginalUri("/v1/charge?now=1".parse().unwrap()));
    let (parts, ()) = request.into_parts();
    let fingerprint = *recipe.fingerprint(&parts, body).as_bytes();
    format!("{:016x}", fingerprint.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))
}

#[test]
fn a_request_has_the_fingerprint_that_earlier_versions_gave_it() {
    let long = HeaderName::try_from("x-".to_owned() + &"l".repeat(70)).unwrap();
    let own = FingerprintRecipe::new().header(long);
    let json = Bytes::from_static(br#"{"b":1, "a":2}"#);
    let mut of_a_form = HeaderMap::new();
    of_a_form.insert("content-type", "multipart/form-data; boundary=AbC".parse().unwrap());
    let form = Bytes::from_static(b"--AbC\r\n\r\n1\r\n--AbC--\r\n");
    let found = [
        fingerprint(&FingerprintRecipe::new(), &HeaderMap::new(), &Bytes::new()),
        fingerprint(&FingerprintRecipe::new(), &headers(), &json),
        fingerprint(&FingerprintRecipe::new().canonical_json(), &headers(), &json),
        fingerprint(&own, &headers(), &vec![b'x'; 700].into()),
        fingerprint(&own, &headers(), &vec![b'x'; 1_024].into()),
        fingerprint(&FingerprintRecipe::new(), &of_a_form, &form),
    ];
    assert_eq!(found, PINNED);
}

/// The first 8 bytes of each, in hexadecimal.
const PINNED: [&str; 6] = [
    "8bc0710953e222bd",
    "c80b1b5d7ee69da8",
    "bf78458c6902d040",
    "a35525eb01ef2e57",
    "3dcde37436a07709",
    "e9054f1780444620",
];
