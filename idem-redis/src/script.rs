//! The scripts: loaded when a server is connected to, and by their next use whenever it has forgotten them.

use std::sync::LazyLock;

use fred::bytes_utils::Str;
use fred::util::sha1_hash;

/// A script and the digest by which a server that has it is asked to run it.
pub(crate) struct Script {
    pub(crate) source: Str,
    pub(crate) digest: Str,
}

impl Script {
    fn new(source: &'static str) -> Self {
        Self { source: Str::from_static(source), digest: sha1_hash(source).into() }
    }
}

/// The text of some of the files, one after the other.
macro_rules! text {
    ($($part:literal),+) => {
        concat!($(include_str!(concat!("scripts/", $part, ".lua"))),+)
    };
}

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = [$($part:literal),+];)*) => {
        $($(#[$doc])* pub(crate) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(text!($($part),+)));)*

        /// All of them.
        pub(crate) fn all() -> impl Iterator<Item = &'static Script> {
            [$(&$name,)* &TOGETHER].into_iter().map(|script| &**script)
        }
    };
}

scripts! {
    LOCK = ["head", "lease", "clock", "touch", "lock"];
    RENEW = ["head", "holder", "lease", "renew"];
    CHECKPOINT = ["head", "holder", "lease", "touch", "checkpoint"];
    COMPLETE = ["allow_oom", "head", "holder", "lease", "clock", "touch", "tell", "complete"];
    RELEASE = ["allow_oom", "head", "holder", "lease", "tell", "forget", "release"];
    REMOVE = ["allow_oom", "head", "lease", "tell", "forget", "remove"];
    GET = ["get"];
    WAIT = ["head", "lease", "wait"];
}

/// Several locks and completions at once, of which the latter are done by the very text of [`COMPLETE`], but not whatever
/// memory there is: that would be for the locks, too.
pub(crate) static TOGETHER: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        text!("clock"),
        "local function complete(KEYS, ARGV)\n",
        text!("head", "holder", "lease", "touch", "tell", "complete"),
        "end\n",
        text!("together")
    ))
});
