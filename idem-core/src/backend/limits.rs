//! The limits of what a call may ask for. They are checked in one place, so that every backend refuses the same calls.

use std::time::Duration;

use super::decide::Call;
use crate::claim::Claim;
use crate::error::{Error, ErrorKind, Operation, Result};

/// The shortest lease and retention: the resolution that every backend has.
pub const MIN_DURATION: Duration = Duration::from_millis(1);
/// The longest lease. A longer one is nearly always a mistaken unit, and a dead holder would block its key.
pub const MAX_LEASE: Duration = Duration::from_hours(24);
/// The longest retention, ten years: longer is a mistaken unit.
pub const MAX_RETENTION: Duration = Duration::from_hours(3_660 * 24);

/// The nearest retention that stores take, from 1 ms to 3,660 days.
#[must_use]
pub fn nearest_retention(retention: Duration) -> Duration {
    retention.clamp(MIN_DURATION, MAX_RETENTION)
}

impl Claim {
    /// Refuses a lease or a retention outside its limits, and a retention shorter than the lease.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] that names the value and its limits.
    pub fn check(&self) -> Result<()> {
        check_claim(self.lease, self.retention)
    }
}

pub(crate) fn check_claim(lease: Duration, retention: Duration) -> Result<()> {
    check_lease(lease, Operation::Lock)?;
    check_retention(retention, Operation::Lock)?;
    if retention < lease {
        let message = format!("the retention {retention:?} is shorter than the lease {lease:?}");
        return Err(Error::new(ErrorKind::InvalidArgument, Operation::Lock, message));
    }
    Ok(())
}

impl Call {
    /// Refuses durations outside their limits, and an outcome or a checkpoint of more than `max_bytes`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] or [`ErrorKind::TooLarge`]; nothing was written.
    pub fn check(&self, max_bytes: u64) -> Result<()> {
        match self {
            Self::Lock { claim, .. } => claim.check(),
            Self::Renew { duration, .. } => check_lease(*duration, Operation::Renew),
            Self::Checkpoint { checkpoint, duration, .. } => {
                check_lease(*duration, Operation::Checkpoint)?;
                check_size("checkpoint", checkpoint.progress.len(), max_bytes, Operation::Checkpoint)
            }
            Self::Complete { outcome, retention, .. } => {
                check_retention(*retention, Operation::Complete)?;
                check_size("outcome", outcome.size(), max_bytes, Operation::Complete)
            }
            Self::Release { .. } | Self::Remove { .. } => Ok(()),
        }
    }

    /// Which of the store's operations this call is.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self {
            Self::Lock { .. } => Operation::Lock,
            Self::Renew { .. } => Operation::Renew,
            Self::Checkpoint { .. } => Operation::Checkpoint,
            Self::Complete { .. } => Operation::Complete,
            Self::Release { .. } => Operation::Release,
            Self::Remove { .. } => Operation::Remove,
        }
    }
}

fn check_lease(lease: Duration, operation: Operation) -> Result<()> {
    check_duration("lease", lease, MAX_LEASE, operation)
}

fn check_retention(retention: Duration, operation: Operation) -> Result<()> {
    check_duration("retention", retention, MAX_RETENTION, operation)
}

fn check_duration(name: &str, value: Duration, max: Duration, operation: Operation) -> Result<()> {
    if (MIN_DURATION..=max).contains(&value) {
        return Ok(());
    }
    let message = format!("a {name} of {value:?} is outside {MIN_DURATION:?} to {max:?}");
    Err(Error::new(ErrorKind::InvalidArgument, operation, message))
}

fn check_size(name: &str, size: usize, max_bytes: u64, operation: Operation) -> Result<()> {
    if size as u64 <= max_bytes {
        return Ok(());
    }
    let message = format!("the {name} has {size} bytes, this store keeps at most {max_bytes}");
    Err(Error::new(ErrorKind::TooLarge, operation, message))
}
