//! Which commits record what an opening after a crash would else have to find out.

use idem_core::config::units;
use serde::{Deserialize, Deserializer};

const GIB: u64 = 1 << 30;
/// A disk with less left may soon be full. Replays are to wait for a moment then, not for the whole file to be read.
const SHORT: u64 = GIB / 4;

/// Whether commits record which pages of the file are free, so that the opening after a crash need not read the whole
/// file: it takes a millisecond then, and about two seconds for each GiB otherwise.
///
/// To record it makes a commit larger, by about 150 KiB for each GiB that the file has. What was committed is durable
/// in any case.
///
/// As an option: `true`, `false`, or a size (`quick_repair=4GiB`). In Rust, a `bool` converts into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuickRepair {
    /// Each commit does while the file has at most so many bytes, or its disk less than 256 MiB left: a full disk has the
    /// file opened again. Of a larger one the last commit does, once nothing was written for a second. In a database
    /// of the application's own each does, since the store does not know its size.
    UpTo(u64),
    /// Each commit does.
    Always,
    /// No commit does.
    Never,
}

impl QuickRepair {
    /// Whether a commit does on a storage of so many bytes, with so many left on its disk.
    pub(crate) fn applies(self, length: Option<u64>, left: Option<u64>) -> bool {
        match self {
            Self::UpTo(most) => {
                length.is_none_or(|length| length <= most) || left.is_some_and(|left| left <= SHORT)
            }
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Up to 1 GiB.
impl Default for QuickRepair {
    fn default() -> Self {
        Self::UpTo(GIB)
    }
}

/// `true`: each commit does.
impl From<bool> for QuickRepair {
    fn from(each: bool) -> Self {
        if each { Self::Always } else { Self::Never }
    }
}

impl<'de> Deserialize<'de> for QuickRepair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "quick_repair is true, false, or a size such as \"4GiB\"")]
        enum Written {
            Each(bool),
            /// As a URI has it.
            EachInText(YesOrNo),
            UpTo(#[serde(deserialize_with = "units::bytes")] u64),
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum YesOrNo {
            True,
            False,
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Each(each) => each.into(),
            Written::EachInText(YesOrNo::True) => Self::Always,
            Written::EachInText(YesOrNo::False) => Self::Never,
            Written::UpTo(most) => Self::UpTo(most),
        })
    }
}
