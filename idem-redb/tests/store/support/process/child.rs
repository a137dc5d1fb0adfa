//! Processes that a test starts: the same binary, running the same test in another role.

use std::process::Command;

const ROLE: &str = "IDEM_TEST_ROLE";

/// The role that the process was started in; `None` where it runs the tests.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// A command that runs `test` again, in `role`.
pub(crate) fn command(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(ROLE, role);
    command
}
