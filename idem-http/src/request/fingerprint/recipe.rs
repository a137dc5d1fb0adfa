//! How a request becomes a fingerprint.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, RANGE,
};
use http::request::Parts;
use http::{HeaderMap, Uri};
use idem_core::{Fingerprint, FingerprintBuilder};
use smallvec::SmallVec;

use super::multipart::Multipart;
use crate::request::original_uri::original_uri;

type CustomFn = Arc<dyn Fn(&Parts, &Bytes) -> Fingerprint + Send + Sync>;

/// How a request becomes a [`Fingerprint`]: a key that comes back with another fingerprint is refused.
///
/// The standard one takes the method, path and query, the body as it was sent (compressed bytes are never inflated), and
/// the headers that change what a request asks for: `Content-Type` and `Content-Encoding`, preconditions (`If-Match` and
/// its like) and `Range`, `Prefer`, and overrides of the method. What it does not take, such as the host and all other
/// headers, may differ between a request and its retry. So may the boundary of a `multipart` body, which clients make
/// anew each time they send: what stands between the boundaries counts.
///
/// ```
/// use http::HeaderName;
/// use idem_core::Fingerprint;
/// use idem_http::FingerprintRecipe;
///
/// // An API that also looks at a header of its own.
/// let recipe = FingerprintRecipe::new().header(HeaderName::from_static("x-api-version"));
/// // An API whose clients send a timestamp in the body: leave it out.
/// let own = FingerprintRecipe::own(|parts, _body| {
///     Fingerprint::builder("orders 1").part(parts.method.as_str()).part(parts.uri.path()).finish()
/// });
/// # let _ = (recipe, own);
/// ```
///
/// A changed recipe makes every key in the store look reused: change it between retentions, or let
/// [`own`](FingerprintRecipe::own) do what [`Fingerprint`] says about rolling one out.
#[derive(Clone)]
pub struct FingerprintRecipe {
    headers: Vec<HeaderName>,
    /// The lengths of their names, as bits: a quick filter, since most headers of a request have other lengths.
    lengths: u64,
    canonical_json: bool,
    own: Option<CustomFn>,
}

/// Headers that change what a request asks for: the form of its body, its conditions, and its method.
const STANDARD: [HeaderName; 12] = [
    CONTENT_TYPE,
    CONTENT_ENCODING,
    IF_MATCH,
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_UNMODIFIED_SINCE,
    IF_RANGE,
    RANGE,
    HeaderName::from_static("prefer"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
];

impl Default for FingerprintRecipe {
    fn default() -> Self {
        let lengths = STANDARD.iter().map(length_bit).fold(0, std::ops::BitOr::bitor);
        Self { headers: STANDARD.to_vec(), lengths, canonical_json: false, own: None }
    }
}

impl FingerprintRecipe {
    /// The standard recipe.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A function of the application's own, of the request and its whole body. It runs for every request with a key, on
    /// the thread that serves the request, and must give a retry what it gave the first request.
    pub fn own(function: impl Fn(&Parts, &Bytes) -> Fingerprint + Send + Sync + 'static) -> Self {
        Self { own: Some(Arc::new(function)), ..Self::default() }
    }

    /// Includes this header as well, with all its values in order.
    #[must_use]
    pub fn header(mut self, name: HeaderName) -> Self {
        if !self.headers.contains(&name) {
            self.lengths |= length_bit(&name);
            self.headers.push(name);
        }
        self
    }

    /// Takes a JSON body in its canonical form (RFC 8785), so that a retry may order its members and space them
    /// differently.
    ///
    /// Applies to `application/json` and `+json` without a content encoding. A body that has no exact canonical form is
    /// taken as it was sent: one that is not JSON, has a member twice, or has numbers that another reader may tell
    /// apart where this form does not (more than 15 digits, more than 40 characters, or an exponent of more than two
    /// digits).
    #[cfg(feature = "canonical-json")]
    #[must_use]
    pub fn canonical_json(self) -> Self {
        Self { canonical_json: true, ..self }
    }

    /// The fingerprint of a request, as a layer with this recipe takes it: of the URI that [`original_uri`] finds, or
    /// otherwise of the request's own.
    #[must_use]
    pub fn fingerprint(&self, parts: &Parts, body: &Bytes) -> Fingerprint {
        self.of(parts, original_uri(&parts.extensions).unwrap_or(&parts.uri), body)
    }

    /// The fingerprint of a request that its client sent to `uri`.
    pub(crate) fn of(&self, parts: &Parts, uri: &Uri, body: &Bytes) -> Fingerprint {
        if let Some(own) = &self.own {
            return own(parts, body);
        }
        // The tag names the recipe: change one with the other.
        let tag = if self.canonical_json { "idem-http 2 canonical json" } else { "idem-http 2" };
        let mut builder = Fingerprint::builder(tag);
        builder.push(parts.method.as_str());
        builder.push(path_and_query(uri));
        if *uri != parts.uri {
            // A router removed a prefix. Or the request is a part of a batch, and `uri` is that of the enclosing
            // request, whose extensions it was given.
            builder.push("within");
            builder.push(path_and_query(&parts.uri));
        }
        let multipart = Multipart::of(&parts.headers, body);
        for name in self.present(&parts.headers) {
            match &multipart {
                Some(multipart) if *name == CONTENT_TYPE => {
                    builder.push("multipart");
                    builder.push(multipart.media_type());
                }
                _ => push_header(&mut builder, name, &parts.headers),
            }
        }
        if let Some(multipart) = multipart {
            for piece in multipart.pieces() {
                builder.push(piece);
            }
        } else if let Some(canonical) = self.canonical(parts, body) {
            builder.push("canonical");
            builder.push(canonical);
        } else {
            builder.push("raw");
            builder.push(body);
        }
        builder.finish()
    }

    /// The headers of this recipe that a request has, in the order of the recipe. One pass over the request's few
    /// headers is faster than a look-up for each name of the recipe.
    fn present<'a>(&'a self, headers: &HeaderMap) -> impl Iterator<Item = &'a HeaderName> {
        let may_count = |name: &&HeaderName| self.lengths & length_bit(name) != 0;
        let present: SmallVec<[&HeaderName; 8]> = headers.keys().filter(may_count).collect();
        self.headers.iter().filter(move |name| present.contains(name))
    }

    #[cfg(feature = "canonical-json")]
    fn canonical(&self, parts: &Parts, body: &Bytes) -> Option<Vec<u8>> {
        let plain = self.canonical_json && !parts.headers.contains_key(CONTENT_ENCODING);
        if plain && super::canonical::is_json(&parts.headers) {
            super::canonical::canonicalize(body)
        } else {
            None
        }
    }

    #[cfg(not(feature = "canonical-json"))]
    #[expect(clippy::unused_self, reason = "the same call with and without the feature")]
    fn canonical(&self, _parts: &Parts, _body: &Bytes) -> Option<Vec<u8>> {
        None
    }
}

fn length_bit(name: &HeaderName) -> u64 {
    1 << name.as_str().len().min(63)
}

fn push_header(builder: &mut FingerprintBuilder, name: &HeaderName, headers: &HeaderMap) {
    let values = headers.get_all(name);
    builder.push(name.as_str());
    builder.push((values.iter().count() as u64).to_le_bytes());
    for value in values {
        builder.push(value.as_bytes());
    }
}

fn path_and_query(uri: &Uri) -> &str {
    uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str)
}

impl fmt::Debug for FingerprintRecipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FingerprintRecipe")
            .field("headers", &self.headers)
            .field("canonical_json", &self.canonical_json)
            .field("own", &self.own.is_some())
            .finish_non_exhaustive()
    }
}
