//! Cursors: where a scan goes on, in the same store or in another one over the same records.

use std::collections::BTreeSet;

use idem_core::ErrorKind;
use idem_core::scan::{Cursor, Page};

use crate::listing::{MOST_CALLS, complete_some, everything};
use crate::trial::{Trial, must};

/// Records that no store lists in its smallest page: some storages hand out a few dozen whatever they are asked for.
const MORE_THAN_A_PAGE: usize = 80;

pub(super) async fn same_one_goes_on_from_the_same_place(t: Trial) {
    complete_some(&t, MORE_THAN_A_PAGE).await;
    let scan = everything().with_limit(5);
    let first = must("scan", t.store().scan(&scan, None).await);
    let Some(cursor) = first.next else { panic!("{MORE_THAN_A_PAGE} records are no page of five") };
    let parsed: Cursor = must("parse", cursor.to_string().parse());
    assert_eq!(parsed, cursor);
    let second = must("scan", t.store().scan(&scan, Some(&cursor)).await);
    let again = must("scan", t.store().scan(&scan, Some(&parsed)).await);
    let keys = |page: &Page| page.entries.iter().map(|entry| entry.key).collect::<BTreeSet<_>>();
    assert_eq!(keys(&second), keys(&again));
    assert_eq!(second.next, again.next);
}

pub(super) async fn foreign_and_altered_ones_are_refused_or_go_on(t: Trial) {
    complete_some(&t, MORE_THAN_A_PAGE).await;
    let scan = everything().with_limit(2);
    let store = t.store();
    let refused = |answer: idem_core::Result<_>| match answer {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error:?}");
            true
        }
        Ok::<Page, _>(_) => false,
    };
    let foreign = must("cursor", Cursor::new(*b"\0\0", b"of no store"));
    assert!(refused(store.scan(&scan, Some(&foreign)).await));
    let own = must("scan", store.scan(&scan, None).await).next;
    let Some(text) = own.map(|cursor| cursor.to_string()) else {
        panic!("{MORE_THAN_A_PAGE} records are no page of two")
    };
    let mut altered: Vec<_> = (0..text.len()).step_by(2).map(|end| text[..end].to_owned()).collect();
    altered.extend((1..8).map(|more| format!("{text}{}", "00".repeat(more))));
    for place in 0..text.len() {
        for digit in ["0", "7", "f"] {
            altered.push(format!("{}{digit}{}", &text[..place], &text[place + 1..]));
        }
    }
    for text in altered {
        if let Ok(cursor) = text.parse::<Cursor>() {
            refused(store.scan(&scan, Some(&cursor)).await);
        }
    }
}

pub(super) async fn goes_on_in_another_store(mut t: Trial) {
    let mut expected = complete_some(&t, 12).await;
    expected.sort_unstable();
    let other = t.another().await;
    let (scan, mut after) = (everything().with_limit(5), None);
    let mut listed = Vec::new();
    for call in 0..MOST_CALLS {
        let store = if call % 2 == 0 { t.store() } else { other.clone() };
        let page = must("scan", store.scan(&scan, after.as_ref()).await);
        listed.extend(page.entries.into_iter().map(|entry| entry.key));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    listed.sort_unstable();
    listed.dedup();
    assert_eq!(listed, expected);
}
