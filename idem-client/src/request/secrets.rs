//! Which headers hold credentials.

use reqwest::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue, PROXY_AUTHORIZATION};

/// Headers that hold credentials by their usual names.
const SECRETS: [&str; 14] = [
    "x-api-key",
    "api-key",
    "x-auth-token",
    "x-access-token",
    "x-refresh-token",
    "x-session-token",
    "x-csrf-token",
    "x-xsrf-token",
    "x-amz-security-token",
    "x-goog-api-key",
    "x-vault-token",
    "x-subject-token",
    "ocp-apim-subscription-key",
    "dpop",
];

/// Whether a header is for the server alone.
pub(crate) fn is_secret(name: &HeaderName, value: &HeaderValue) -> bool {
    value.is_sensitive()
        || [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(name)
        || SECRETS.contains(&name.as_str())
}
