//! Runs the program as a user does.
//!
//! `cargo test` and `cargo nextest run` build it before the test.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

/// The lines that the program prints when it is run with `arguments`.
fn said(arguments: &[&str]) -> Vec<String> {
    // The examples are beside `deps`, where this test is.
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/quickstart");
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_card_is_charged_once_and_every_retry_is_replayed() {
    let refused = "other amount: refused, the key belongs to another request";
    let first = [
        "the card is charged 1250 cents",
        "attempt 1: executed, receipt for 1250 cents",
        "attempt 2: replayed, receipt for 1250 cents",
        "attempt 3: replayed, receipt for 1250 cents",
        refused,
    ];
    assert_eq!(said(&[]), first);
}

#[test]
fn a_file_that_stays_replays_when_the_program_is_run_again() {
    let file = std::env::temp_dir().join(format!("quickstart-test-{}.idem", std::process::id()));
    let path = file.to_str().unwrap();
    assert_eq!(said(&[path]).len(), 5);
    let again = said(&[path]);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(again[0], "attempt 1: replayed, receipt for 1250 cents");
    assert_eq!(again.len(), 4);
}

#[test]
fn the_program_is_at_most_60_lines() {
    let program = include_str!("../main.rs");
    assert!(program.lines().count() <= 60, "{}", program.lines().count());
}
