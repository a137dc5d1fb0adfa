//! A private file system of a given size for one test.

use std::path::PathBuf;
use std::process::Command;

use super::child;

/// Runs `test` in a child process that has a tmpfs of `size` mounted in a namespace of its own. In the child: the
/// folder of that tmpfs. In the parent: `None`, once the child has passed.
pub(crate) fn inside(test: &str, size: &str) -> Option<PathBuf> {
    if let Some(folder) = child::role() {
        return Some(folder.into());
    }
    let folder = tempfile::tempdir().unwrap();
    let child = child::command(test, folder.path().to_str().unwrap());
    let inside = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg(format!("mount -t tmpfs -o size={size} idem \"$0\" && exec \"$@\""))
        .arg(folder.path())
        .arg(child.get_program())
        .args(child.get_args())
        .envs(child.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .output()
        .expect("this test needs `unshare` (util-linux)");
    let (stdout, stderr) = (String::from_utf8_lossy(&inside.stdout), String::from_utf8_lossy(&inside.stderr));
    assert!(
        inside.status.success() && stdout.contains("1 passed"),
        "it failed, or a tmpfs may not be mounted here (it needs user namespaces):\n{stdout}\n{stderr}"
    );
    print!("{stdout}");
    None
}
