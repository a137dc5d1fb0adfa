//! All cases, in files by subject.

mod cancel;
mod checkpoint;
mod close;
mod complete;
mod corrupt;
mod cursor;
mod durable;
mod erase;
mod execute;
mod expire;
mod fingerprint;
mod full;
mod heartbeat;
mod input;
mod lease;
mod lock;
mod lost_answer;
mod peek;
mod race;
mod release;
mod remove;
mod renew;
mod resend;
mod scan;
mod scope;
mod shared;
mod wait;
mod work;

use std::fmt;
use std::pin::Pin;

use crate::need::Need;
use crate::trial::Trial;

/// One case: a promise of the contract, and a check of whether a store keeps it.
pub struct Case {
    /// Its subject and what it promises: `lock::fresh_key_is_acquired`.
    pub name: &'static str,
    /// What it needs beyond the contract.
    pub needs: &'static [Need],
    pub(crate) run: fn(Trial) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Case {
    /// The case of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        CASES.iter().find(|case| case.name == name)
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).field("needs", &self.needs).finish_non_exhaustive()
    }
}

macro_rules! table {
    ({} $($subject:ident { $($case:ident $(needs $need:ident)*,)* })*) => {
        /// Every case.
        pub static CASES: &[Case] = &[$($(Case {
            name: concat!(stringify!($subject), "::", stringify!($case)),
            needs: &[$(Need::$need),*],
            run: |trial| Box::pin($subject::$case(trial)),
        }),*),*];
    };
}

crate::__for_each_case!(table {});

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::CASES;

    #[test]
    fn every_case_that_is_written_is_listed() {
        let listed: BTreeSet<_> = CASES.iter().map(|case| case.name.to_owned()).collect();
        assert_eq!(listed.len(), CASES.len(), "a name is listed twice");
        assert_eq!(listed, written());
    }

    /// The cases in the source files.
    #[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    fn written() -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cases");
        let mut names = BTreeSet::new();
        for file in folder.read_dir().unwrap() {
            let path = file.unwrap().path();
            let subject = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if subject == "mod" {
                continue;
            }
            for line in std::fs::read_to_string(&path).unwrap().lines() {
                if let Some(signature) = line.strip_prefix("pub(super) async fn ") {
                    let (name, _) = signature.split_once('(').unwrap();
                    names.insert(format!("{subject}::{name}"));
                }
            }
        }
        names
    }
}
