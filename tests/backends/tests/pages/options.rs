//! The tables and examples of docs/configuration.md.

use std::collections::BTreeSet;

use idem_core::{ErrorKind, Registry, StoreConfig};
use idem_moka::MokaConfig;
use idem_redb::RedbConfig;
use idem_servers::{postgres, redis};
use serde::de::DeserializeOwned;

use crate::support::page;

#[test]
fn every_redb_option_is_listed_with_its_default() {
    let listed = options("## redb options");
    let required = ("path".to_owned(), "required".to_owned());
    assert_eq!(listed.first(), Some(&required));
    let defaults = format!("path = \"./payments.idem\"\n{}", as_toml(&listed[1..]));
    let config: RedbConfig = toml::from_str(&defaults).unwrap();
    assert_eq!(format!("{config:?}"), format!("{:?}", RedbConfig::new("./payments.idem")));
    assert_eq!(names(&listed), known_options::<RedbConfig>());
}

#[test]
fn every_moka_option_is_listed_with_its_default() {
    let listed = options("## moka options");
    let config: MokaConfig = toml::from_str(&as_toml(&listed)).unwrap();
    assert_eq!(format!("{config:?}"), format!("{:?}", MokaConfig::default()));
    assert_eq!(names(&listed), known_options::<MokaConfig>());
}

#[tokio::test]
async fn every_redis_option_is_listed_with_its_default() {
    let listed = options("## redis options");
    let shown: Vec<_> =
        listed.iter().filter(|(_, value)| value != "required" && value != "none").cloned().collect();
    let server = redis::shared_lone().await;
    let plain = registry().open(format!("redis://{server}")).await.unwrap();
    let spelt = registry().open(format!("redis://{server}?{}", as_query(&shown))).await.unwrap();
    assert_eq!(format!("{spelt:?}"), format!("{plain:?}"));
    let refused = registry().open(format!("redis://{server}?no_such_option=1")).await.unwrap_err();
    assert_eq!(names(&listed), known_by(refused.message()));
}

#[tokio::test]
async fn every_postgres_option_is_listed_with_its_default() {
    let listed = options("## postgres options");
    let shown: Vec<_> =
        listed.iter().filter(|(_, value)| value != "required" && value != "none").cloned().collect();
    let server = postgres::shared_lone().await;
    let [plain, spelt] = [String::new(), as_query(&shown)].map(|query| format!("{}?{query}", server.uri()));
    assert_eq!(postgres_config(&spelt).await, postgres_config(&plain).await);
    let refused = registry().open("postgres://app@localhost?no_such_option=1").await.unwrap_err();
    assert_eq!(&names(&listed) | &other_names("## postgres options"), known_by(refused.message()));
}

#[tokio::test]
async fn what_the_page_says_the_postgres_store_refuses_is_refused() {
    let page = page("docs/configuration.md");
    let refused =
        page.split("The store refuses what it does not know").nth(1).unwrap().split("- ").next().unwrap();
    for option in ["application_name", "channel_binding", "sslmode=allow", "connect_timeout=10"] {
        assert!(refused.contains(&format!("`{option}`")), "{option}");
        let written = if option.contains('=') { option.to_owned() } else { format!("{option}=require") };
        let error = registry().open(format!("postgres://app@localhost?{written}")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
        let (name, _) = written.split_once('=').unwrap();
        assert!(error.message().contains(name), "{error}");
    }
}

#[tokio::test]
async fn every_listed_option_can_be_written_in_a_uri() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("options.idem");
    let redb = format!("redb:{}?{}", file.display(), as_query(&options("## redb options")[1..]));
    let moka = format!("moka:?{}", as_query(&options("## moka options")));
    for uri in [redb, moka] {
        let opened = registry().open(&uri).await;
        assert!(opened.is_ok(), "{uri}: {opened:?}");
    }
}

#[tokio::test]
async fn every_configuration_shown_opens_a_store() {
    let page = page("docs/configuration.md");
    let tables: Vec<_> = blocks(&page, "toml").filter(|block| block.contains("store =")).collect();
    assert!(!tables.is_empty());
    for block in tables {
        let directory = tempfile::tempdir().unwrap();
        let table: toml::Table = block.parse().unwrap();
        let mut table = table["idempotency"].clone();
        if let Some(path) = table.get_mut("path") {
            *path = directory.path().join("shown.idem").to_str().unwrap().into();
        }
        if table["store"].as_str() == Some("postgres") {
            let table = table.as_table_mut().unwrap();
            let server = postgres::shared_lone().await.addr().to_string();
            table["servers"] = vec![server].into();
            table["user"] = "postgres".into();
            table["database"] = "postgres".into();
        }
        let config: StoreConfig = table.try_into().unwrap();
        let opened = registry().open(config).await;
        assert!(opened.is_ok(), "{block}: {opened:?}");
    }
}

fn registry() -> Registry {
    Registry::new()
        .with(idem_redb::DRIVER)
        .with(idem_redis::DRIVER)
        .with(idem_postgres::DRIVER)
        .with(idem_moka::DRIVER)
}

/// The configuration of the store that `uri` opens, from its `Debug` text.
async fn postgres_config(uri: &str) -> String {
    let shown = format!("{:?}", registry().open(uri).await.unwrap());
    let config = shown.split("PostgresConfig {").nth(1).unwrap();
    config.split(", .. }").next().unwrap().to_owned()
}

/// The options under `heading` in docs/configuration.md and their defaults, without their backticks.
fn options(heading: &str) -> Vec<(String, String)> {
    let option = |row: &String| {
        let mut cells = row.split('|').skip(1).map(|cell| cell.trim().replace('`', ""));
        (cells.next().unwrap(), cells.next().unwrap())
    };
    rows(heading).iter().map(option).collect()
}

/// The names that an option may have besides: what its meaning begins with "also".
fn other_names(heading: &str) -> BTreeSet<String> {
    let other = |row: &String| Some(row.split_once("| also `")?.1.split('`').next()?.to_owned());
    rows(heading).iter().filter_map(other).collect()
}

/// The rows of the table of options under `heading` in docs/configuration.md.
fn rows(heading: &str) -> Vec<String> {
    let page = page("docs/configuration.md");
    let section = page.split(heading).nth(1).unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("| option |")).skip(2);
    rows.take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
}

fn names(options: &[(String, String)]) -> BTreeSet<String> {
    options.iter().map(|(name, _)| name.clone()).collect()
}

fn as_toml(options: &[(String, String)]) -> String {
    let lines: Vec<_> = options.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    lines.join("\n")
}

fn as_query(options: &[(String, String)]) -> String {
    let pairs: Vec<_> =
        options.iter().map(|(name, value)| format!("{name}={}", value.trim_matches('"'))).collect();
    pairs.join("&")
}

/// The options that a configuration knows, from the error that lists them.
fn known_options<T: DeserializeOwned>() -> BTreeSet<String> {
    let Err(error) = toml::from_str::<T>("no_such_option = 1") else {
        panic!("an unknown option was accepted")
    };
    known_by(error.message())
}

/// The options that the refusal of an unknown one lists.
fn known_by(refusal: &str) -> BTreeSet<String> {
    let (_, known) = refusal.split_once("expected one of").unwrap();
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The fenced code of `language` in a page.
fn blocks<'a>(page: &'a str, language: &str) -> impl Iterator<Item = &'a str> {
    let fence = format!("```{language}\n");
    let starts: Vec<_> = page.match_indices(&fence).map(|(at, fence)| at + fence.len()).collect();
    starts.into_iter().map(|start| page[start..].split("```").next().unwrap_or_default())
}
