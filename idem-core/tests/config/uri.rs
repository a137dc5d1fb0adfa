//! What each form of a URI means.

use std::time::Duration;

use crate::support::{FileConfig, MemoryConfig, file, opened};

#[tokio::test]
async fn target_of_each_form_is_the_drivers_target_option() {
    for (uri, path) in [
        ("file:./orders.idem", "./orders.idem"),
        ("file:orders.idem", "orders.idem"),
        ("file:/var/orders.idem", "/var/orders.idem"),
        ("file:///var/orders.idem", "/var/orders.idem"),
        ("file://orders.idem", "orders.idem"),
        ("file:h1:7000,h2:7001", "h1:7000,h2:7001"),
        ("file://h1:7000,h2:7001", "h1:7000,h2:7001"),
    ] {
        assert_eq!(file(uri).await, FileConfig::at(path), "{uri}");
    }
}

#[tokio::test]
async fn target_is_percent_decoded_once() {
    for (uri, path) in [
        ("file:a%20b", "a b"),
        ("file:a%3Fb", "a?b"),
        ("file:a%2525", "a%25"),
        ("file:%C3%A4", "ä"),
        ("file:ä", "ä"),
        ("file:a+b", "a+b"),
        ("file:a&check=true", "a&check=true"),
        ("file:a#b", "a#b"),
        ("file:100%", "100%"),
    ] {
        assert_eq!(file(uri).await, FileConfig::at(path), "{uri}");
    }
}

#[tokio::test]
async fn options_follow_the_question_mark() {
    let config = file("file:a?check=true&cache=64MiB&pause=1m%2030s&password=s%26cr%3Dt").await;
    let expected = FileConfig {
        check: true,
        cache: 64 << 20,
        pause: Duration::from_secs(90),
        password: Some("s&cr=t".to_owned()),
        ..FileConfig::at("a")
    };
    assert_eq!(config, expected);
}

#[tokio::test]
async fn target_may_be_given_as_its_option() {
    for uri in ["file:?path=a&check=true", "file://?path=a&check=true"] {
        assert_eq!(file(uri).await, FileConfig { check: true, ..FileConfig::at("a") }, "{uri}");
    }
}

#[tokio::test]
async fn second_question_mark_belongs_to_the_options() {
    let config = file("file:a?password=what?").await;
    assert_eq!(config.password.as_deref(), Some("what?"));
}

#[tokio::test]
async fn scheme_without_a_target_takes_options_alone() {
    for uri in ["memory:", "memory:?", "memory://", "memory://?"] {
        assert_eq!(opened(uri).await.unwrap(), ("memory".to_owned(), MemoryConfig { max: 0 }), "{uri}");
    }
    let (_, config): (_, MemoryConfig) = opened("memory:?max=1KiB").await.unwrap();
    assert_eq!(config, MemoryConfig { max: 1024 });
}

#[tokio::test]
async fn scheme_is_read_in_any_case_and_passed_to_the_driver_in_its_own() {
    for uri in ["FILE:a", "File:a", "file:a"] {
        let (scheme, config): (_, FileConfig) = opened(uri).await.unwrap();
        assert_eq!((scheme.as_str(), config.path.as_str()), ("file", "a"), "{uri}");
    }
}
