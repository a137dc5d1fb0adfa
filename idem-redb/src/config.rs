//! What can be set, with its defaults and limits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use idem_core::config::units;
use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use crate::quick_repair::QuickRepair;

/// How a [`RedbStore`](crate::RedbStore) is opened and run.
///
/// The same names are URI options (`redb:./payments.idem?check_integrity=true&sweep_interval=10s`) and keys
/// of a configuration table. Unknown names are errors.
///
/// ```
/// let mut config = idem_redb::RedbConfig::new("./payments.idem");
/// config.check_integrity = true;
/// assert_eq!(config.quick_repair, idem_redb::QuickRepair::UpTo(1 << 30));
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "independent settings, named as users write them")]
pub struct RedbConfig {
    /// The store's file. Required. A relative path starts in the process's current folder at the time of opening.
    ///
    /// In a URI it is what follows `redb:`. Two slashes change nothing: `redb:x` and `redb://x` are the file `x` of
    /// that folder, `redb:/x` and `redb:///x` the file `x` of the root; nothing is a host.
    ///
    /// A link is followed, also to a file that does not exist yet.
    pub path: PathBuf,
    /// Whether a missing file is made (readable by its owner only). Default: true.
    #[serde(default = "yes")]
    pub create: bool,
    /// Whether every page of the file is verified when it is opened. Takes the time to read the whole file.
    /// redb verifies no page when it reads it, so without a check a damaged file can lose keys silently;
    /// a damaged *value* is found in any case, by its record's own checksum. Default: false.
    #[serde(default)]
    pub check_integrity: bool,
    /// Whether a file may be used that the check could repair only by changing it. Default: false, the file is
    /// then `Corrupt`.
    #[serde(default)]
    pub accept_repairs: bool,
    /// Which commits record what makes the next opening fast after a crash. Default: those on a file of at most 1 GiB.
    #[serde(default)]
    pub quick_repair: QuickRepair,
    /// Memory for pages, in bytes. Default: 64 MiB. At least 1 MiB.
    #[serde(default = "default_cache_bytes", deserialize_with = "units::bytes")]
    pub cache_bytes: u64,
    /// How many locks may wait for the writer, and how many calls of holders, which are queued separately. Default:
    /// 4,096. 1 to 1,000,000.
    #[serde(default = "default_queue")]
    pub queue: usize,
    /// What a call does that finds the queue full. Default: it waits, within `call_timeout`.
    #[serde(default)]
    pub when_queue_full: WhenQueueFull,
    /// How long a call may take before it ends in `Timeout`. Default: 10 s. At least 1 ms.
    #[serde(default = "default_call_timeout", deserialize_with = "units::duration")]
    pub call_timeout: Duration,
    /// The largest outcome and checkpoint, in bytes. Default: 16 MiB. 1 byte to 1 GiB.
    #[serde(default = "default_max_outcome", deserialize_with = "units::bytes")]
    pub max_outcome: u64,
    /// How far the wall clock may be ahead of the last commit when the store is opened. Beyond that the clock is taken
    /// for wrong, and the opening is refused, since everything would expire at once. Default: 180 days. At least 1 s.
    #[serde(default = "default_max_clock_jump", deserialize_with = "units::duration")]
    pub max_clock_jump: Duration,
    /// Whether expired records are removed in the background. Default: true.
    #[serde(default = "yes")]
    pub sweep: bool,
    /// How long the sweeper rests when nothing has expired. Default: 1 s. At least 1 ms.
    #[serde(default = "default_sweep_interval", deserialize_with = "units::duration")]
    pub sweep_interval: Duration,
    /// The part of the disk that one scope may fill while no other scope holds anything (above 0, at most 1); the
    /// records of others reduce it. Beyond it, a new key is refused with [`Full`](ErrorKind::Full), and the scope's
    /// other keys are not affected. `1.0` sets no limit: one scope can fill the disk for all. Default: 0.9.
    ///
    /// "The disk" is what the file takes, plus what its file system has left for this process. The shared scope has no
    /// limit. The limit works on Unix only, and on a file of the store's own: elsewhere the space that is left is
    /// unknown.
    ///
    /// A scope's usage is counted in a summary. It is never above the truth, except for removals that a crash lost (64
    /// KiB at most, until the records are recounted), and it is below the truth by about 3% of all that was written
    /// while the scope held its records. The free part of the file is estimated from the bytes of all records. Where
    /// the application has tables of its own in the file, that estimate is impossible; then only this counts: what the
    /// file system has left, and a sixteenth of the space that removed records have freed in the file. A process that
    /// runs as root may use what ext2, ext3 and ext4 keep for root.
    #[serde(default = "default_max_share_per_scope")]
    pub max_share_per_scope: f64,
}

/// What a call does that finds the writer's queue full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhenQueueFull {
    /// It waits for a place, within its `call_timeout`.
    #[default]
    Wait,
    /// It ends in `Unavailable` at once and has done nothing.
    Refuse,
}

impl RedbConfig {
    /// The defaults, for the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            create: true,
            check_integrity: false,
            accept_repairs: false,
            quick_repair: QuickRepair::default(),
            cache_bytes: default_cache_bytes(),
            queue: default_queue(),
            when_queue_full: WhenQueueFull::default(),
            call_timeout: default_call_timeout(),
            max_outcome: default_max_outcome(),
            max_clock_jump: default_max_clock_jump(),
            sweep: true,
            sweep_interval: default_sweep_interval(),
            max_share_per_scope: default_max_share_per_scope(),
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        const MIB: u64 = 1 << 20;
        const MILLENNIUM: Duration = Duration::from_hours(1_000 * 8_766);
        let (bytes, duration) = (units::written_bytes, units::written_duration);
        let instant = Duration::from_millis(1);
        let day = Duration::from_hours(24);
        if self.path.as_os_str().as_encoded_bytes().starts_with(b"redb:") {
            return Err(invalid(&format!(
                "{} is a URI, which a Registry opens; a path stands without `redb:`, or begins with `./`",
                self.path.display()
            )));
        }
        in_range("cache_bytes", self.cache_bytes, MIB, 1 << 40, bytes)?;
        in_range("queue", self.queue, 1, 1_000_000, |places| places.to_string())?;
        in_range("call_timeout", self.call_timeout, instant, day, duration)?;
        in_range("max_outcome", self.max_outcome, 1, 1 << 30, bytes)?;
        in_range("max_clock_jump", self.max_clock_jump, Duration::from_secs(1), MILLENNIUM, duration)?;
        in_range("sweep_interval", self.sweep_interval, instant, day, duration)?;
        let share = self.max_share_per_scope;
        if share > 0.0 && share <= 1.0 {
            return Ok(());
        }
        Err(invalid(&format!("max_share_per_scope is {share}, it must be above 0 and at most 1")))
    }

    /// Whether the share was set: the default is ignored where it has no meaning.
    fn sets_share(&self) -> bool {
        self.max_share_per_scope.total_cmp(&default_max_share_per_scope()).is_ne()
    }

    /// Refuses options that have no meaning for the caller's own storage.
    pub(crate) fn check_for_storage(&self) -> Result<()> {
        let named = [
            ("path", !self.path.as_os_str().is_empty()),
            ("create", !self.create),
            ("max_share_per_scope", self.sets_share()),
        ];
        unused(&named, "the caller's own storage (open_backend)")
    }

    /// Refuses options that have no meaning for the application's own database.
    pub(crate) fn check_for_database(&self) -> Result<()> {
        let named = [
            ("path", !self.path.as_os_str().is_empty()),
            ("create", !self.create),
            ("check_integrity", self.check_integrity),
            ("accept_repairs", self.accept_repairs),
            ("cache_bytes", self.cache_bytes != default_cache_bytes()),
            ("max_share_per_scope", self.sets_share()),
        ];
        unused(&named, "the application's own database (with_database), which opens it as it likes")
    }
}

/// From any path: `&str`, `String`, `&Path`, `PathBuf` and references to them.
impl<P: AsRef<Path>> From<P> for RedbConfig {
    fn from(path: P) -> Self {
        Self::new(path.as_ref())
    }
}

fn unused(set: &[(&str, bool)], on: &str) -> Result<()> {
    match set.iter().find(|(_, is_set)| *is_set) {
        Some((name, _)) => {
            Err(invalid(&format!("{name} is set, and has no meaning on {on}; leave it at its default")))
        }
        None => Ok(()),
    }
}

fn in_range<T: PartialOrd + Copy>(
    name: &str,
    value: T,
    min: T,
    max: T,
    written: impl Fn(T) -> String,
) -> Result<()> {
    if min <= value && value <= max {
        return Ok(());
    }
    let [value, min, max] = [value, min, max].map(written);
    Err(invalid(&format!("{name} is {value}, it must be {min} to {max}")))
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, Operation::Configure, format!("redb: {message}"))
}

fn yes() -> bool {
    true
}

fn default_cache_bytes() -> u64 {
    64 << 20
}

fn default_queue() -> usize {
    4_096
}

fn default_call_timeout() -> Duration {
    Duration::from_secs(10)
}

fn default_max_outcome() -> u64 {
    16 << 20
}

fn default_max_clock_jump() -> Duration {
    Duration::from_hours(180 * 24)
}

fn default_sweep_interval() -> Duration {
    Duration::from_secs(1)
}

fn default_max_share_per_scope() -> f64 {
    0.9
}
