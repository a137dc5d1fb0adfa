//! The scripts. They are loaded on connecting. When the server has dropped a script, its next use sends the whole text.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sha1::{Digest as _, Sha1};

/// A script, and the digest by which a server that has loaded it runs it.
pub(crate) struct Script {
    pub(crate) source: &'static str,
    /// The SHA-1 digest in hexadecimal digits.
    pub(crate) digest: String,
}

impl Script {
    fn new(source: &'static str) -> Self {
        let mut digest = String::new();
        for byte in Sha1::digest(source) {
            // Writing into a `String` cannot fail.
            let _ = write!(digest, "{byte:02x}");
        }
        Self { source, digest }
    }
}

/// The text of a script: its shared parts, followed by its own.
macro_rules! text {
    ($($part:literal),*; $own:literal) => {
        concat!(
            $(include_str!(concat!("scripts/parts/", $part, ".lua")),)*
            include_str!(concat!("scripts/", $own, ".lua"))
        )
    };
}

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = [$($part:literal),*; $own:literal];)*) => {
        $($(#[$doc])* pub(crate) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(text!($($part),*; $own)));)*

        /// All scripts that are loaded on connecting.
        pub(crate) fn all() -> impl Iterator<Item = &'static Script> {
            [$(&$name,)*].into_iter().map(|script| &**script)
        }
    };
}

scripts! {
    LOCK = ["head", "lease", "clock", "touch"; "lock"];
    RENEW = ["head", "holder", "lease"; "renew"];
    CHECKPOINT = ["head", "holder", "lease", "touch"; "checkpoint"];
    COMPLETE = ["allow_oom", "as_locked", "head", "holder", "lease", "clock", "touch", "notify"; "complete"];
    RELEASE = ["allow_oom", "head", "holder", "lease", "notify", "forget"; "release"];
    REMOVE = ["allow_oom", "head", "lease", "notify", "forget"; "remove"];
    GET = [; "get"];
    SUMMARY = [; "summary"];
    WAIT = ["head", "lease"; "wait"];
    PROPAGATE = [; "propagate"];
}

/// Rarely used, as are [`MARK_REPLICATED`] and [`PAGE`], and therefore sent whole instead of loaded on connecting.
pub(crate) static PROBE: LazyLock<Script> = LazyLock::new(|| Script::new(text!(; "probe")));
pub(crate) static MARK_REPLICATED: LazyLock<Script> =
    LazyLock::new(|| Script::new(text!(; "mark_replicated")));
pub(crate) static PAGE: LazyLock<Script> = LazyLock::new(|| Script::new(text!(; "page")));
