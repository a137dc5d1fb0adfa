//! Reads the pages and the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// The crates that are published, each in a folder of its name.
pub(crate) const PUBLISHED: [&str; 8] = [
    "idem-core",
    "idem-redb",
    "idem-redis",
    "idem-postgres",
    "idem-moka",
    "idem-http",
    "idem-client",
    "idem-conformance",
];

pub(crate) fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Every page of documentation.
pub(crate) fn pages() -> Vec<PathBuf> {
    let in_directory = |directory: PathBuf| {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect::<Vec<_>>()
    };
    let others = ["", "docs", "docs/adr", "docs/guide", "benches", "examples/ledger"];
    PUBLISHED.into_iter().chain(others).flat_map(|directory| in_directory(root().join(directory))).collect()
}

pub(crate) fn collect_rust(directory: &Path, sources: &mut Vec<(PathBuf, String)>) {
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

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
