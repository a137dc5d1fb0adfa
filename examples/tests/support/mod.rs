//! Running an example as a user runs it.

use std::process::Command;

/// The program of an example, which `cargo test` and `cargo nextest run` build beside `deps`, where this test is.
pub(crate) fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let program = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let program = test.ancestors().nth(2).unwrap().join("examples").join(program);
    assert!(program.exists(), "{} is not built: run all tests of this package", program.display());
    Command::new(program)
}
