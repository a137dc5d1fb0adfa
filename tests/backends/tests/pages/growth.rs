//! Which public types may gain fields or variants.

use std::collections::BTreeSet;

use crate::support::{PUBLISHED, collect_rust, page, root};

/// `docs/adr/0025-what-may-grow.md` lists every type by its kind.
#[test]
fn every_public_type_may_grow_as_its_kind_does() {
    let page = page("docs/adr/0025-what-may-grow.md");
    let decided: BTreeSet<(&str, bool)> = page
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'))
        .flat_map(|row| {
            let cells: Vec<_> = row.split('|').collect();
            let may_grow = cells[3].contains("non_exhaustive");
            cells[2].split('`').skip(1).step_by(2).map(move |name| (name, may_grow))
        })
        .collect();
    let mut sources = Vec::new();
    for package in PUBLISHED {
        collect_rust(&root().join(package).join("src"), &mut sources);
    }
    let written: BTreeSet<_> = sources.iter().flat_map(|(_, text)| types_that_can_grow(text)).collect();
    assert_eq!(written, decided);
}

/// Public enums, and public structs with public fields; whether each is `non_exhaustive`.
fn types_that_can_grow(source: &str) -> Vec<(&str, bool)> {
    let mut found = Vec::new();
    let mut may_grow = false;
    let mut lines = source.lines().peekable();
    while let Some(line) = lines.next() {
        may_grow |= line == "#[non_exhaustive]";
        let of = |kind: &str| line.strip_prefix(kind)?.split(|at: char| !at.is_alphanumeric()).next();
        if let Some(name) = of("pub enum ") {
            found.push((name, may_grow));
        } else if let Some(name) = of("pub struct ") {
            let mut fields = lines.clone().take_while(|line| line.starts_with("    "));
            if line.ends_with('{') && fields.any(|field| field.starts_with("    pub ")) {
                found.push((name, may_grow));
            }
        }
        if !line.starts_with('#') && !line.starts_with("//") {
            may_grow = false;
        }
    }
    found
}
