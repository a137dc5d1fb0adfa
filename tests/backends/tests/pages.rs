//! What the project's pages say about options, links and tests, held to the code.
//!
//! The Rust code in them is compiled elsewhere, by the documentation tests of `idem-examples`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use idem_core::{Registry, StoreConfig};
use idem_moka::MokaConfig;
use idem_redb::RedbConfig;
use idem_servers::redis::shared_lone;
use serde::de::DeserializeOwned;

/// The crates that are published, each in a folder of its name.
const PUBLISHED: [&str; 7] =
    ["idem-core", "idem-redb", "idem-redis", "idem-moka", "idem-http", "idem-client", "idem-conformance"];

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
    let server = shared_lone().await;
    let plain = registry().open(format!("redis://{server}")).await.unwrap();
    let spelt = registry().open(format!("redis://{server}?{}", as_query(&shown))).await.unwrap();
    assert_eq!(format!("{spelt:?}"), format!("{plain:?}"));
    let refused = registry().open(format!("redis://{server}?no_such_option=1")).await.unwrap_err();
    let known = refused.message().split('`').skip(1).step_by(2).map(str::to_owned);
    assert_eq!(names(&listed), known.filter(|name| name != "no_such_option").collect());
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
        let config: StoreConfig = table.try_into().unwrap();
        let opened = registry().open(config).await;
        assert!(opened.is_ok(), "{block}: {opened:?}");
    }
}

#[test]
fn the_readme_is_one_screen() {
    let lines = page("README.md").lines().count();
    assert!(lines <= 110, "{lines} lines");
}

#[test]
fn every_relative_link_leads_to_a_file() {
    for path in pages() {
        let text = fs::read_to_string(&path).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("http") && !link.starts_with('#')) {
            let file = link.split('#').next().unwrap();
            assert!(path.with_file_name(file).exists(), "{}: {link} leads nowhere", path.display());
        }
    }
}

#[test]
fn every_source_file_that_a_page_names_exists() {
    let mut missing = Vec::new();
    let text = |path: &Path| fs::read_to_string(path).unwrap();
    let mut texts: Vec<_> = pages().into_iter().map(|path| (text(&path), path)).collect();
    let script = root().join("idem-redis/src/protocol/scripts/parts/head.lua");
    texts.push((text(&script), script));
    for (text, path) in texts {
        let words = text.split(|at: char| !(at.is_ascii_alphanumeric() || "/_-.".contains(at)));
        let named = words.filter(|word| word.starts_with("idem-") && word.contains("/src/"));
        for file in named.map(|word| word.trim_end_matches('.')) {
            if !root().join(file).exists() {
                missing.push(format!("{}: {file}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_test_that_a_page_of_claims_names_exists() {
    let mut sources = Vec::new();
    for package in PUBLISHED.into_iter().chain(["tests"]) {
        collect_rust(&root().join(package), &mut sources);
    }
    for (path, at_least) in [("docs/guarantees.md", 300), ("docs/where-the-layer-stands.md", 35)] {
        let page = page(path);
        let named: Vec<_> = page.lines().filter(|line| line.starts_with('|')).flat_map(named_tests).collect();
        assert!(named.len() >= at_least, "{path} names only {}: {named:?}", named.len());
        let missing: Vec<_> = named.iter().filter(|name| !is_test(name, &sources)).collect();
        assert!(missing.is_empty(), "{path} names tests that do not exist: {missing:#?}");
    }
}

/// The tests that a row of claims names: the code in its last cell.
fn named_tests(row: &str) -> Vec<&str> {
    let cell = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
    cell.split('`').skip(1).step_by(2).collect()
}

/// Whether `subject::name` is a function in a file of that subject, in its `tests.rs`, or in a module of that name.
fn is_test(name: &str, sources: &[(PathBuf, String)]) -> bool {
    let Some((subject, function)) = name.split_once("::") else { return false };
    sources.iter().any(|(path, text)| {
        let is_tests = path.file_name().is_some_and(|name| name == "tests.rs");
        let named_by = if is_tests { path.parent() } else { Some(path.as_path()) };
        let is_subject = named_by.and_then(Path::file_stem).is_some_and(|stem| stem == subject);
        (is_subject || text.contains(&format!("mod {subject} {{")))
            && text.contains(&format!("fn {function}("))
    })
}

fn registry() -> Registry {
    Registry::new().with(idem_redb::DRIVER).with(idem_redis::DRIVER).with(idem_moka::DRIVER)
}

/// The rows of the table under `heading` in docs/configuration.md: option and default, without their backticks.
fn options(heading: &str) -> Vec<(String, String)> {
    let page = page("docs/configuration.md");
    let section = page.split(heading).nth(1).unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    rows.take_while(|line| line.starts_with('|'))
        .map(|row| {
            let mut cells = row.split('|').skip(1).map(|cell| cell.trim().replace('`', ""));
            (cells.next().unwrap(), cells.next().unwrap())
        })
        .collect()
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
    let Err(error) = toml::from_str::<T>("no_such_option = 1") else { panic!("an unknown option was taken") };
    let message = error.message().to_owned();
    let (_, known) = message.split_once("expected one of").unwrap();
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The fenced code of `language` in a page.
fn blocks<'a>(page: &'a str, language: &str) -> impl Iterator<Item = &'a str> {
    let fence = format!("```{language}\n");
    let starts: Vec<_> = page.match_indices(&fence).map(|(at, fence)| at + fence.len()).collect();
    starts.into_iter().map(|start| page[start..].split("```").next().unwrap_or_default())
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Every page of documentation.
fn pages() -> Vec<PathBuf> {
    let in_directory = |directory: PathBuf| {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect::<Vec<_>>()
    };
    let others = ["", "docs", "docs/adr", "docs/guide", "benches", "examples/ledger"];
    PUBLISHED.into_iter().chain(others).flat_map(|directory| in_directory(root().join(directory))).collect()
}

fn collect_rust(directory: &Path, sources: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_rust(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            sources.push((path, text));
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
