//! The targets of links and the source files named in pages exist; the README stays short.

use std::fs;
use std::path::Path;

use crate::support::{page, pages, root};

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
