//! Helpers for cases that list records.

use std::collections::BTreeMap;
use std::time::Duration;

use idem_core::scan::{Entry, Expiry, Scan};
use idem_core::{Claim, Key, Scope};

use crate::trial::{ExpectEffect, Trial, must, value};

/// More calls than a scan of a few records may take.
pub(crate) const MOST_CALLS: usize = 1_000;

pub(crate) fn everything() -> Scan {
    Scan::all().with_expiry(Expiry::Either)
}

/// The scope of [`Trial::key`].
pub(crate) fn scope() -> Scope {
    must("scope", Scope::new("conformance"))
}

/// A claim of an hour, which outlasts any case.
pub(crate) fn long(t: &Trial) -> Claim {
    Claim { lease: Duration::from_hours(1), retention: Duration::from_hours(2), ..t.claim() }
}

/// Lists what `scan` wants, to the end.
pub(crate) async fn list(t: &Trial, scan: &Scan) -> BTreeMap<Key, Entry> {
    let store = t.store();
    let (mut listed, mut after) = (BTreeMap::new(), None);
    for _ in 0..MOST_CALLS {
        let page = must("scan", store.scan(scan, after.as_ref()).await);
        assert!(page.entries.len() <= page.examined, "more is listed than was looked at");
        // Some storages hand out a few more than they are asked for.
        assert!(page.examined <= scan.limit + 64, "{} is far above {}", page.examined, scan.limit);
        listed.extend(page.entries.into_iter().map(|entry| (entry.key, entry)));
        let Some(next) = page.next else { return listed };
        after = Some(next);
    }
    panic!("the scan does not end");
}

/// Completes `count` keys.
pub(crate) async fn complete_some(t: &Trial, count: usize) -> Vec<Key> {
    let mut keys = Vec::new();
    for number in 0..count {
        let key = t.key(&format!("order-{number}"));
        let lease = t.acquire(&key).await;
        t.complete(&lease, value(b"done")).await.expect_applied();
        keys.push(key);
    }
    keys
}
