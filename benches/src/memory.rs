//! Memory, as the operating system counts it.

use std::sync::Arc;

use idem_core::Store;

use crate::{RETENTION, Result, fill, keys};

/// The memory of this process that is resident, in bytes; `None` off Linux.
///
/// To be asked before anything else has run: what the allocator keeps for reuse hides what comes later.
#[must_use]
pub fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}

/// By how much memory grows per completed record with an outcome of `bytes`, the outcome included, over
/// `records` of them.
pub async fn bytes_per_record(store: &Arc<dyn Store>, records: usize, bytes: usize) -> Result<Option<f64>> {
    let keys = keys(records);
    let before = resident();
    fill(store, &keys, bytes, RETENTION).await?;
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 bytes")]
    Ok(grown(before).map(|grown| grown as f64 / records as f64))
}

/// By how much memory grew since it was `before`, in MiB.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 bytes")]
pub fn mebibytes(before: Option<u64>) -> Option<f64> {
    grown(before).map(|grown| grown as f64 / f64::from(1 << 20))
}

fn grown(before: Option<u64>) -> Option<u64> {
    Some(resident()?.saturating_sub(before?))
}
