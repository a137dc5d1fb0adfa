//! Pages that make claims name the tests that prove them.

use std::path::{Path, PathBuf};

use crate::support::{PUBLISHED, collect_rust, page, root};

#[test]
fn every_test_that_a_page_of_claims_names_exists() {
    let mut sources = Vec::new();
    for package in PUBLISHED.into_iter().chain(["examples", "tests"]) {
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

/// The tests that a row names: the code in its last cell.
fn named_tests(row: &str) -> Vec<&str> {
    let cell = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
    cell.split('`').skip(1).step_by(2).collect()
}

/// Whether `subject::name` is a function in a file named `subject`, in the `tests.rs` of a folder of that name, or in a
/// file with a module of that name.
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
