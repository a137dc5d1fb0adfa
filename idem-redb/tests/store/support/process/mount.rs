//! A file system of a given size, for a test alone.

use std::path::PathBuf;
use std::process::Command;

use super::child;

/// Mounts `size` of memory where nobody else sees it, and runs `test` inside. `Some`: the folder, in there. `None`: it
/// has passed.
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
    let (said, complained) =
        (String::from_utf8_lossy(&inside.stdout), String::from_utf8_lossy(&inside.stderr));
    assert!(
        inside.status.success() && said.contains("1 passed"),
        "it failed, or a tmpfs may not be mounted here (it needs user namespaces):\n{said}\n{complained}"
    );
    print!("{said}");
    None
}
