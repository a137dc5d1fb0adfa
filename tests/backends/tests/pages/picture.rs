//! The diagram of the crates in CONTRIBUTING.md.

use std::collections::BTreeSet;

use crate::support::page;

/// Which package depends on which.
type Edges = BTreeSet<(String, String)>;

#[test]
fn the_picture_of_crates_is_that_of_the_manifests() {
    let page = page("CONTRIBUTING.md");
    let picture = page.split("```mermaid").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(drawn(picture), written());
}

/// The packages and arrows of the picture. A node is written `core[idem-core]`, arrows `http --> core & redb`.
fn drawn(picture: &str) -> (BTreeSet<String>, Edges) {
    let nodes: Vec<_> =
        picture.lines().filter_map(|line| line.trim().strip_suffix(']')?.split_once('[')).collect();
    let package = |alias: &str| {
        let node = nodes.iter().find(|(name, _)| *name == alias.trim());
        node.map_or_else(|| panic!("{alias} is no node"), |(_, package)| (*package).to_owned())
    };
    let arrows = picture.lines().filter_map(|line| line.split_once("-->")).flat_map(|(who, whom)| {
        whom.split('&').map(|whom| (package(who), package(whom))).collect::<Vec<_>>()
    });
    (nodes.iter().map(|(_, package)| (*package).to_owned()).collect(), arrows.collect())
}

/// The packages of the workspace, and which of them each needs outside of its tests.
fn written() -> (BTreeSet<String>, Edges) {
    let manifest = |folder: &str| page(&format!("{folder}/Cargo.toml")).parse::<toml::Table>().unwrap();
    let (mut packages, mut edges) = (BTreeSet::new(), Edges::new());
    for member in manifest(".")["workspace"]["members"].as_array().unwrap() {
        let manifest = manifest(member.as_str().unwrap());
        let package = manifest["package"]["name"].as_str().unwrap().to_owned();
        if let Some(dependencies) = manifest.get("dependencies").and_then(toml::Value::as_table) {
            let siblings = dependencies.keys().filter(|name| name.starts_with("idem-"));
            edges.extend(siblings.map(|sibling| (package.clone(), sibling.clone())));
        }
        packages.insert(package);
    }
    (packages, edges)
}
