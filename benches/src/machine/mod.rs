//! Measuring the machine: its disk, its memory, its clock.

pub(crate) mod disk;
pub(crate) mod memory;
pub(crate) mod table;

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "a benchmark measures the wall time of its own machine")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
