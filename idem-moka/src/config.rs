//! The configuration of a store, and its checks.

use idem_core::config::units::{self, written_bytes};
use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};
use serde::Deserialize;

/// Bytes that a record counts for besides its outcome or checkpoint: its entries in the maps and in the expiry
/// index, and the allocator's overhead, as measured (0.3 to 0.45 KiB) and rounded up.
pub const RECORD_OVERHEAD: u64 = 512;

const MIB: u64 = 1 << 20;
/// 16 TiB: more memory than that is a mistaken unit.
const MOST_BYTES: u64 = 1 << 44;
const MOST_ENTRIES: u64 = 1 << 32;
/// Locked records are in maps that double when they grow: beyond this number, growing is a noticeable pause.
const MOST_LOCKS: u64 = 1 << 26;
/// 1 GiB: together with its overhead still within the 32 bits of a weight in moka.
const MOST_OUTCOME: u64 = 1 << 30;

/// How large a [`MokaStore`](crate::MokaStore) may grow, and what it does then.
///
/// ```
/// # use idem_moka::{MokaConfig, WhenFull};
/// let config: MokaConfig = toml::from_str(r#"
///     max_bytes = "256MiB"
///     when_full = "evict"
/// "#)?;
/// assert_eq!((config.max_bytes, config.when_full), (256 << 20, WhenFull::Evict));
/// assert_eq!(config.max_entries, MokaConfig::default().max_entries);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MokaConfig {
    /// Bytes of outcomes and checkpoints, and [`RECORD_OVERHEAD`] for each record. Default: 64 MiB.
    #[serde(deserialize_with = "units::bytes")]
    pub max_bytes: u64,
    /// Records. Default: 1,000,000.
    pub max_entries: u64,
    /// Locked records: held, lapsed within their retention, or released with a checkpoint. Default: 100,000.
    pub max_locks: u64,
    /// Bytes of one outcome or checkpoint; a larger one is
    /// [`TooLarge`](idem_core::ErrorKind::TooLarge). Default: 1 MiB.
    #[serde(deserialize_with = "units::bytes")]
    pub max_outcome: u64,
    /// What happens at `max_bytes` and `max_entries`. Default: [`WhenFull::Refuse`].
    pub when_full: WhenFull,
    /// The part of the store that one scope may fill while no other scope holds anything (above 0, at most 1); records
    /// of other scopes make it less. A new key beyond it is refused. `1.0`: no share is checked, and one scope can fill
    /// the store for all. The shared scope has no share. Default: 0.9.
    pub max_share_per_scope: f64,
}

/// What a full store does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum WhenFull {
    /// A new key is refused with [`ErrorKind::Full`]; no promise is broken.
    #[default]
    Refuse,
    /// The least recently used completed records are dropped before they expire, and counted. A retry of a
    /// dropped key runs its work again.
    Evict,
}

impl Default for MokaConfig {
    fn default() -> Self {
        Self {
            max_bytes: 64 * MIB,
            max_entries: 1_000_000,
            max_locks: 100_000,
            max_outcome: MIB,
            when_full: WhenFull::Refuse,
            max_share_per_scope: 0.9,
        }
    }
}

impl MokaConfig {
    /// Refuses zeros, mistaken units, and settings that contradict one another.
    pub(crate) fn check(&self) -> Result<()> {
        let records = |count: u64| count.to_string();
        within("max_bytes", self.max_bytes, MOST_BYTES, written_bytes)?;
        within("max_entries", self.max_entries, MOST_ENTRIES, records)?;
        within("max_locks", self.max_locks, MOST_LOCKS, records)?;
        within("max_outcome", self.max_outcome, MOST_OUTCOME, written_bytes)?;
        let share = self.max_share_per_scope;
        if !(share > 0.0 && share <= 1.0) {
            return Err(invalid(&format!("max_share_per_scope = {share} is not above 0 and at most 1")));
        }
        if self.max_outcome + RECORD_OVERHEAD > self.max_bytes {
            return Err(invalid(&format!(
                "max_bytes = {} holds no record with an outcome of max_outcome = {} (and {RECORD_OVERHEAD} \
                 bytes of overhead): raise max_bytes or lower max_outcome",
                written_bytes(self.max_bytes),
                written_bytes(self.max_outcome)
            )));
        }
        if self.when_full == WhenFull::Evict && self.least_weight() > u64::from(u32::MAX) {
            return Err(invalid(&format!(
                "max_entries = {} is too low for max_bytes = {} under when_full = \"evict\": at most 4 GiB for \
                 each entry",
                self.max_entries,
                written_bytes(self.max_bytes)
            )));
        }
        Ok(())
    }

    /// The least weight of a record under `evict`, so that a bound in bytes also bounds the entries.
    pub(crate) fn least_weight(&self) -> u64 {
        self.max_bytes.div_ceil(self.max_entries)
    }
}

fn within(option: &str, value: u64, most: u64, written: fn(u64) -> String) -> Result<()> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    let [value, least, most] = [value, 1, most].map(written);
    Err(invalid(&format!("{option} = {value} is outside {least} to {most}")))
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, Operation::Configure, format!("moka: {message}"))
}
