//! What a server says when something is wrong.

use std::fmt::Write as _;
use std::path::Path;

/// The last lines that the server of `folder` wrote to its errors and to the file `log`.
pub(crate) fn log_tail(folder: &Path, log: &str) -> String {
    let mut tail = String::new();
    for name in ["stderr.log", log] {
        let log = std::fs::read(folder.join(name)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        for line in &lines[lines.len().saturating_sub(20)..] {
            // Into a `String`: it cannot fail.
            let _ = writeln!(tail, "  {name}: {line}");
        }
    }
    tail
}
