//! The programs of servers.

use std::env;
use std::path::{Path, PathBuf};

/// Searched here rather than by the shell, whose "not found" would not say what installs the program.
pub(crate) fn in_path(binary: &Path, script: &str) -> Result<PathBuf, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut found = env::split_paths(&path).map(|folder| folder.join(binary));
    found.find(|file| file.is_file()).ok_or_else(|| missing(binary, script))
}

/// Where `script` puts it: this program, a test or a bench, is in a folder of the build directory too.
pub(crate) fn in_build_directory(file: &str, script: &str) -> Result<PathBuf, String> {
    let program =
        env::current_exe().map_err(|error| format!("this program does not know where it is: {error}"))?;
    beside(&program, file, script)
}

fn beside(program: &Path, file: &str, script: &str) -> Result<PathBuf, String> {
    let mut found = program.ancestors().map(|folder| folder.join("tmp").join(file));
    found.find(|file| file.is_file()).ok_or_else(|| missing(Path::new(file), script))
}

fn missing(binary: &Path, script: &str) -> String {
    format!("{} is missing, which these tests start: scripts/{script} installs it", binary.display())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_missing_server_of_the_build_directory_is_reported_with_the_script_that_installs_it() {
        let target = tempfile::tempdir().unwrap();
        let program = target.path().join("debug/deps/test");
        let file = "redis-8.2.3/redis-server";
        let missing = beside(&program, file, "install-redis").unwrap_err();
        assert!(missing.contains(file) && missing.contains("scripts/install-redis"), "{missing}");
        let server = target.path().join("tmp").join(file);
        std::fs::create_dir_all(server.parent().unwrap()).unwrap();
        std::fs::write(&server, "").unwrap();
        assert_eq!(beside(&program, file, "install-redis").unwrap(), server);
    }
}
