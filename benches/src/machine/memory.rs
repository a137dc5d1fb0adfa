//! Memory, as the operating system counts it.

use std::sync::Arc;

use idem_core::Key;

use crate::load::fill::keys;
use crate::result::Result;

/// The resident memory of this process, in bytes; `None` on systems other than Linux.
///
/// To be called before anything else has run, since memory that the allocator keeps for reuse hides later growth.
#[must_use]
pub fn resident() -> Option<u64> {
    of_status("VmRSS:")
}

/// The peak of the resident memory, in bytes; `None` on systems other than Linux.
#[must_use]
pub fn most_resident() -> Option<u64> {
    of_status("VmHWM:")
}

fn of_status(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}

/// By how many bytes memory grows per record while `fill` keeps one for each of `records` fresh keys, with everything
/// that belongs to a record.
pub async fn bytes_per_record(
    records: usize,
    fill: impl AsyncFnOnce(Arc<[Key]>) -> Result<()>,
) -> Result<Option<f64>> {
    let keys = keys(records);
    let before = resident();
    fill(Arc::clone(&keys)).await?;
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 bytes")]
    Ok(grown(before).map(|grown| grown as f64 / records as f64))
}

/// The growth of memory since it was `before`, in MiB.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 bytes")]
pub fn mebibytes(before: Option<u64>) -> Option<f64> {
    grown(before).map(|grown| grown as f64 / f64::from(1 << 20))
}

fn grown(before: Option<u64>) -> Option<u64> {
    Some(resident()?.saturating_sub(before?))
}
