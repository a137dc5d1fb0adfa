//! Each mistake is an error that names the mistake and the valid choices, and never shows a password.

use idem_core::config::Options;
use idem_core::{ErrorKind, Registry, StoreConfig};
use serde::Deserialize;

use crate::support::{FILE, mistake, registry, table};

#[track_caller]
fn assert_names(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "{word:?} is missing: {error}");
    }
}

#[tokio::test]
async fn unknown_scheme_lists_the_known_ones() {
    for config in [StoreConfig::from("postgres:a"), table("store = 'postgres'")] {
        assert_names(&mistake(config).await, &["postgres", "file", "vault", "memory"]);
    }
}

#[tokio::test]
async fn empty_registry_says_that_it_is_empty() {
    let error = Registry::new().open("file:a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert_names(&error.to_string(), &["file", "no backend"]);
}

#[tokio::test]
async fn missing_scheme_shows_an_example_of_a_uri() {
    for uri in ["", "payments", "./payments.idem", "/var/payments", "?check=true"] {
        assert_names(&mistake(uri).await, &["scheme", "redb:./"]);
    }
}

#[tokio::test]
async fn empty_scheme_is_unknown() {
    assert_names(&mistake(":a").await, &["\"\"", "file"]);
}

#[tokio::test]
async fn unknown_option_lists_the_known_ones() {
    for config in [StoreConfig::from("file:a?chekc=true"), table("store = 'file'\npath = 'a'\nchekc = true")]
    {
        assert_names(
            &mistake(config).await,
            &["file", "chekc", "path", "check", "cache", "pause", "password"],
        );
    }
}

#[tokio::test]
async fn bad_value_is_named_with_its_option_and_an_example() {
    for (option, value, example) in [
        ("check", "yes", "true"),
        ("cache", "64 apples", "64MiB"),
        ("cache", "-1", "64MiB"),
        ("pause", "soon", "30s"),
        ("pause", "30", "30s"),
        ("pause", "-1s", "30s"),
    ] {
        assert_names(&mistake(format!("file:a?{option}={value}")).await, &["file", option, value, example]);
    }
    for (option, value, wanted) in [
        ("check", "'yes'", "boolean"),
        ("cache", "'64 apples'", "64MiB"),
        ("cache", "-1", "64MiB"),
        ("cache", "-1", "`-1`"),
        ("pause", "'soon'", "30s"),
        ("pause", "30", "string"),
    ] {
        let config = table(&format!("store = 'file'\npath = 'a'\n{option} = {value}"));
        assert_names(&mistake(config).await, &["file", option, wanted]);
    }
}

#[tokio::test]
async fn missing_target_is_named() {
    for config in [
        StoreConfig::from("file:"),
        StoreConfig::from("file:?check=true"),
        StoreConfig::from("file://"),
        table("store = 'file'"),
    ] {
        assert_names(&mistake(config).await, &["missing", "path"]);
    }
}

#[tokio::test]
async fn target_given_twice_is_named() {
    assert_names(&mistake("file:a?path=b").await, &["duplicate", "path"]);
}

#[tokio::test]
async fn option_given_twice_is_named() {
    assert_names(&mistake("file:a?cache=1&cache=2").await, &["duplicate", "cache"]);
}

#[tokio::test]
async fn target_for_a_driver_without_one_shows_its_form() {
    for uri in ["memory:a", "memory://a", "memory:/", "memory:64MiB"] {
        assert_names(&mistake(uri).await, &["memory", "options only", "memory:?"]);
    }
}

#[tokio::test]
async fn target_that_is_not_utf_8_is_named() {
    assert_names(&mistake("file:%FF").await, &["UTF-8"]);
}

#[tokio::test]
async fn table_without_the_key_store_shows_it() {
    for config in ["path = 'a'", "store = 7\npath = 'a'", "store = ['file']", ""] {
        assert_names(&mistake(table(config)).await, &["`store`", "store = \"redb\""]);
    }
}

#[tokio::test]
async fn uri_in_the_key_store_is_refused_with_its_right_place() {
    let mistake = mistake(table("store = 'file:a?check=true'")).await;
    assert_names(&mistake, &["file:a", "in place of the table", "store = \"redb\""]);
}

#[test]
fn value_that_is_neither_uri_nor_table_is_refused_with_both_forms() {
    #[derive(Debug, Deserialize)]
    struct Application {
        #[expect(dead_code, reason = "deserializing it fails")]
        store: StoreConfig,
    }
    for text in ["store = 7", "store = true", "store = ['file:a']"] {
        let error = toml::from_str::<Application>(text).unwrap_err().to_string();
        assert_names(&error, &["URI", "table", "`store`"]);
    }
}

#[test]
fn configuration_shows_no_option() {
    let by_uri = StoreConfig::from("file://user:s3cr3t@a?password=s3cr3t");
    let by_table = table("store = 'file'\npath = 'a'\npassword = 's3cr3t'");
    for config in [by_uri, by_table] {
        let shown = format!("{config:?} {config:#?}");
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
}

#[tokio::test]
async fn options_show_their_scheme_alone() {
    #[expect(clippy::needless_pass_by_value, reason = "the signature is the one of a driver")]
    fn show(options: Options) -> idem_core::config::Opening {
        let shown = format!("{options:?} {options:#?}");
        let error = idem_core::Error::new(ErrorKind::InvalidConfig, idem_core::error::Operation::Open, shown);
        Box::pin(async { Err(error) })
    }
    let registry = Registry::new().with(idem_core::Driver { open: show, ..FILE });
    let by_uri = StoreConfig::from("file://user:s3cr3t@a?password=s3cr3t");
    let by_table = table("store = 'file'\npath = 'a'\npassword = 's3cr3t'");
    for config in [by_uri, by_table] {
        let error = registry.open(config).await.unwrap_err();
        assert!(error.message().contains("file") && !error.message().contains("s3cr3t"), "{error}");
    }
}

#[tokio::test]
async fn mistake_beside_a_password_does_not_show_it() {
    for config in [
        StoreConfig::from("file:a?password=s3cr3t&chekc=true"),
        StoreConfig::from("file://user:s3cr3t@host?chekc=true"),
        StoreConfig::from("memory://user:s3cr3t@host"),
        StoreConfig::from("postgres://user:s3cr3t@host"),
        table("store = 'file'\npath = 'a'\npassword = 's3cr3t'\nchekc = true"),
        table("path = 'a'\npassword = 's3cr3t'"),
    ] {
        let error = registry().open(config).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
}
