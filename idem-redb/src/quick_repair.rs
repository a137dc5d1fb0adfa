//! Which commits record what spares an opening after a crash from reading the whole file.

use idem_core::config::units;
use serde::{Deserialize, Deserializer};

const GIB: u64 = 1 << 30;
/// A disk with less left may soon be full, and its file is then reopened: replays should wait a moment for that, and
/// not for the whole file to be read.
const SHORT: u64 = GIB / 4;

/// Whether commits record which pages of the file are free, so that an opening after a crash need not read the whole
/// file. With it, that opening takes a millisecond; without it, about two seconds for each GiB.
///
/// Recording makes a commit larger, by about 150 KiB for each GiB of the file. What was committed is durable in any
/// case.
///
/// As an option: `true`, `false`, or a size (`quick_repair=4GiB`). In Rust, a `bool` converts into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuickRepair {
    /// Each commit, while the file has at most so many bytes, or its disk has less than 256 MiB left: a full disk
    /// makes the store reopen its file. In a larger file, the last commit records it, once nothing was written for a
    /// second. In a database of the application's own each commit records it, since the store does not know its size.
    UpTo(u64),
    /// Each commit.
    Always,
    /// No commit.
    Never,
}

impl QuickRepair {
    /// Whether a commit records it on a storage of so many bytes, with so many left on its disk.
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

/// `true`: each commit.
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
