//! Compares the operators' table of errors in `docs/redis.md` with the table in the code.

use super::support::name;
use crate::protocol::errors::table::{Row, TABLE};

/// The page from the heading on.
fn section() -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/redis.md")).unwrap();
    page.split_once("## When something is wrong").unwrap().1.to_owned()
}

/// The code spans of `text` that begin with an error code: `` `ERR unknown command` ``.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    let is_code = |quoted: &&str| {
        let word = quoted.split(' ').next().unwrap_or_default();
        word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_uppercase())
    };
    text.split('`').skip(1).step_by(2).filter(is_code)
}

#[test]
fn every_text_in_the_operators_table_is_in_the_table_of_errors() {
    let section = section();
    // Only the first column: the others name commands too.
    let cells: Vec<_> =
        section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).collect();
    let texts: Vec<_> = cells.iter().flat_map(|cell| quoted(cell)).collect();
    assert!(texts.len() > 20, "{texts:?}");
    for text in texts {
        assert!(!Row::of(text).code.is_empty(), "no row matches {text}");
    }
}

#[test]
fn every_error_that_can_occur_is_on_the_operators_page() {
    let section = section();
    let documented: Vec<_> = quoted(&section).map(|text| name(Row::of(text))).collect();
    for row in TABLE.iter().filter(|row| !row.places.is_empty()) {
        assert!(documented.contains(&name(row)), "{} is not on the page", name(row));
    }
}
