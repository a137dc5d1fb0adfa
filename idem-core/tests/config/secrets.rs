//! No password is shown, of a URI or of a table, whether the mistake is beside it or in it.

use idem_core::config::masked;
use idem_core::{Registry, StoreConfig};
use proptest::prelude::*;
use serde::Deserialize;

use crate::support::{FILE, RAW, registry, table};

/// A driver's configuration that refuses each value, and shows it in the error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Talkative {
    #[expect(dead_code, reason = "deserializing it fails")]
    #[serde(default, deserialize_with = "refuse")]
    path: (),
    #[expect(dead_code, reason = "deserializing it fails")]
    #[serde(default, deserialize_with = "refuse")]
    password: (),
}

fn refuse<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    let text = String::deserialize(deserializer)?;
    Err(serde::de::Error::custom(format!("{text:?} will not do, {text}")))
}

const TALKATIVE: idem_core::Driver = idem_core::Driver {
    schemes: &["talkative"],
    target: Some("path"),
    open: |options| Box::pin(async { options.read::<Talkative>().map(|_| unreachable!("it refuses")) }),
};

/// All that the error of opening `config` shows.
async fn error_of(config: StoreConfig) -> String {
    let registry = registry().with(RAW).with(TALKATIVE);
    let error = registry.open(config).await.unwrap_err();
    format!("{error} {error:?} {error:#?}")
}

async fn assert_hidden(config: impl Into<StoreConfig>, word: &str) {
    let config = config.into();
    let shown = format!("{config:?} {config:#?}");
    assert!(!shown.contains("s3cr3t"), "{shown}");
    let shown = error_of(config).await;
    assert!(!shown.contains("s3cr3t"), "{shown}");
    assert!(shown.contains(word), "{word:?} is missing: {shown}");
}

#[tokio::test]
async fn message_of_a_driver_that_repeats_the_target_shows_no_password() {
    for (uri, word) in [
        ("talkative://user:s3cr3t@host:6379/0", "***@host:6379/0"),
        ("talkative:user:s3cr3t@host", "***@host"),
        ("talkative://user:%733cr3t@host", "***@host"),
        ("talkative://s3cr3t@host", "***@host"),
        ("talkative://user:s3cr3t@x@host", "***@host"),
        ("talkative://user:s3cr3t\"%0A@host", "***@host"),
        ("talkative:?path=raw://user:s3cr3t%40host", "***@host"),
    ] {
        assert_hidden(uri, word).await;
    }
    assert_hidden(table("store = 'talkative'\npath = 'redis://user:s3cr3t@host/0'"), "***@host/0").await;
}

#[tokio::test]
async fn value_of_an_option_that_is_a_password_is_not_shown_when_it_is_the_mistake() {
    assert_hidden("talkative:?password=s3cr3t", "password").await;
    assert_hidden(table("store = 'talkative'\npassword = 's3cr3t'"), "password").await;
    // The deserializer itself reports a number in place of text.
    for value in ["5303", "[5303]", "{ is = 5303 }", "53.03"] {
        let shown = error_of(table(&format!("store = 'file'\npath = 'a'\npassword = {value}"))).await;
        assert!(!shown.contains("5303") && !shown.contains("53.03"), "{shown}");
        assert!(shown.contains("password"), "{shown}");
    }
}

#[tokio::test]
async fn uri_given_as_the_scheme_of_a_table_shows_no_password() {
    assert_hidden(table("store = 'redis://user:s3cr3t@host:6379/0'"), "redis://***@host:6379/0").await;
    assert_hidden(table("store = 'redis:?password=s3cr3t'"), "redis:?***").await;
}

#[tokio::test]
async fn uri_without_a_scheme_shows_no_password() {
    for uri in ["s3cr3t@host", "?password=s3cr3t", "host?password=s3cr3t", "//s3cr3t@host?x"] {
        assert_hidden(uri, "scheme").await;
    }
    assert_hidden("?password=s3cr3t:1", "?***").await;
}

/// Everything behind the `?` is then read as options, with or without names.
#[tokio::test]
async fn password_with_a_question_mark_in_it_is_not_shown_as_an_option() {
    for uri in [
        "file://user:x?s3cr3t@host",
        "file://user:x?s3cr3t=1@host",
        "file://user:x?s3cr3t&s3cr3t=y&z@host",
        "raw://user:s3cr3t?acks=1@host",
    ] {
        assert_hidden(uri, "%3F").await;
    }
}

#[tokio::test]
async fn mistake_beside_a_password_is_reported_in_full() {
    let registry = Registry::new().with(FILE);
    for config in [
        StoreConfig::from("file://user:s3cr3t@host?password=s3cr3t&chekc=true"),
        table("store = 'file'\npath = 'user:s3cr3t@host'\npassword = 's3cr3t'\nchekc = true"),
    ] {
        let error = registry.open(config).await.unwrap_err();
        for word in ["file:", "unknown field", "`chekc`", "`check`", "`password`"] {
            assert!(error.message().contains(word), "{word}: {error}");
        }
    }
}

#[test]
fn configuration_shows_which_store_it_names() {
    for (config, word) in [
        ("redis://user:p@host:6379/0?acks=1".into(), "\"redis://***@host:6379/0?***\""),
        ("redb:./payments.idem".into(), "\"redb:./payments.idem\""),
        (table("store = 'redb'\npath = 'a'"), "\"redb\""),
        (table("path = 'a'"), "\"\""),
    ] {
        assert!(format!("{config:?}").contains(word), "{config:?}");
    }
}

proptest! {
    #[test]
    fn masked_uri_never_shows_the_password(
        scheme in "[a-z]{0,5}:(//)?",
        user in "[a-z:/?&=%@]{0,6}",
        filler in "[a-z:/?&=%@\u{e4}]{0,6}",
        rest in "[a-z0-9:,/]{0,9}(\\?[a-z=&@]{0,9})?",
    ) {
        let shown = masked(&format!("{scheme}{user}:{filler}S3{filler}@{rest}"));
        prop_assert!(!shown.contains("S3"), "{shown}");
    }

    #[test]
    fn uri_without_password_and_options_is_shown_as_it_is(uri in "[a-z]{1,5}:(//)?[a-z0-9:,/.%]{0,20}") {
        prop_assert_eq!(masked(&uri), uri);
    }
}
