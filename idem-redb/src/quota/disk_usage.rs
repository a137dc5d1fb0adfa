//! Measuring a file and its file system.

use std::io;
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DiskUsage {
    /// The bytes that the file system has left for this process.
    pub(crate) available: u64,
    /// The bytes that the file system has allocated to the file.
    pub(crate) allocated: u64,
    /// The bytes of the file's length beyond that.
    pub(crate) holes: u64,
}

/// Measures the file at `path`; `None` where the file system does not say. With `includes_root_reserve`, a process of
/// root may use the blocks that are kept for root.
#[cfg(unix)]
pub(crate) fn measure(path: &Path, includes_root_reserve: bool) -> io::Result<Option<DiskUsage>> {
    use std::os::unix::fs::MetadataExt as _;
    const BLOCK: u64 = 512;
    let (file, system) = (std::fs::metadata(path)?, rustix::fs::statvfs(path)?);
    let has_root_reserve =
        includes_root_reserve && system.f_bfree > system.f_bavail && keeps_for_this_process(path);
    let available = if has_root_reserve { system.f_bfree } else { system.f_bavail };
    let available = available.saturating_mul(system.f_frsize);
    // A file may grow by holes, to which the file system has allocated nothing yet.
    let allocated = file.len().min(file.blocks().saturating_mul(BLOCK));
    let holes = file.len() - allocated;
    Ok((system.f_blocks > 0).then_some(DiskUsage { available, allocated, holes }))
}

/// Whether the file system keeps blocks for root, and this process runs as root. On other file systems, fewer blocks
/// are available than free for other reasons.
#[cfg(target_os = "linux")]
fn keeps_for_this_process(path: &Path) -> bool {
    // The magic number of ext2, ext3 and ext4.
    rustix::process::geteuid().is_root()
        && rustix::fs::statfs(path).is_ok_and(|system| system.f_type == 0xEF53)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn keeps_for_this_process(_: &Path) -> bool {
    false
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
pub(crate) fn measure(_: &Path, _: bool) -> io::Result<Option<DiskUsage>> {
    Ok(None)
}

#[cfg(all(test, target_os = "linux"))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_root_is_left_for_root_alone() {
        let file = std::env::current_exe().unwrap();
        let available =
            |includes_root_reserve| measure(&file, includes_root_reserve).unwrap().unwrap().available;
        let system = rustix::fs::statvfs(&file).unwrap();
        let kept = (system.f_bfree - system.f_bavail) * system.f_frsize;
        let has_root_reserve = keeps_for_this_process(&file);
        assert!(rustix::process::geteuid().is_root() || !has_root_reserve);
        // Not exact: other processes write meanwhile.
        assert_eq!(available(true).saturating_sub(available(false)) > kept / 2, has_root_reserve && kept > 0);
    }
}
