//! The target before percent-decoding, for drivers that tell an escaped `@` from an `@`.

use idem_core::ErrorKind;

use crate::support::{RawConfig, raw, table};

#[tokio::test]
async fn raw_target_is_not_decoded() {
    for (uri, target) in [
        ("raw://user:p%40ss@host:6379/0", "user:p%40ss@host:6379/0"),
        ("raw://user:pass@h1:7000,h2:7001/0?acks=1", "user:pass@h1:7000,h2:7001/0"),
        ("raw://:%FF%00%3F%25@host", ":%FF%00%3F%25@host"),
        ("raw:a+b&c=d#e", "a+b&c=d#e"),
        ("RAW-TLS:ä", "ä"),
    ] {
        let (seen, config) = raw(uri).await.unwrap();
        assert_eq!(seen.as_deref(), Some(target), "{uri}");
        assert_eq!(config.path, None, "{uri}");
    }
}

#[tokio::test]
async fn slashes_before_the_target_are_not_part_of_it() {
    for (uri, target) in [("raw://host", "host"), ("raw:host", "host"), ("raw:///run/redis", "/run/redis")] {
        assert_eq!(raw(uri).await.unwrap().0.as_deref(), Some(target), "{uri}");
    }
}

#[tokio::test]
async fn options_are_read_as_usual_beside_a_raw_target() {
    let (_, config) = raw("raw://h1:7000?acks=2&password=a%26b").await.unwrap();
    assert_eq!(config, RawConfig { path: None, acks: 2, password: Some("a&b".to_owned()) });
}

#[tokio::test]
async fn target_given_again_as_an_option_is_left_to_the_driver() {
    let (seen, config) = raw("raw://h1:7000?path=other").await.unwrap();
    assert_eq!((seen.as_deref(), config.path.as_deref()), (Some("h1:7000"), Some("other")));
}

#[tokio::test]
async fn empty_target_and_table_have_none() {
    for config in ["raw:".into(), "raw://".into(), "raw:?acks=0".into(), table("store = 'raw'")] {
        assert_eq!(raw(config).await.unwrap(), (None, RawConfig::default()));
    }
    let (seen, config) = raw(table("store = 'raw'\npath = 'h1:7000'")).await.unwrap();
    assert_eq!((seen, config.path.as_deref()), (None, Some("h1:7000")));
}

#[tokio::test]
async fn mistake_in_the_options_shows_nothing_of_the_target() {
    let error = raw("raw://user:s3cr3t@host?acsk=1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.message().contains("acsk") && !error.message().contains("s3cr3t"), "{error}");
}
