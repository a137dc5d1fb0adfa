//! No URI panics: it opens a store, or is refused as an invalid configuration.

use idem_core::ErrorKind;
use proptest::prelude::*;

use crate::support::registry;

fn try_open(uri: String) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    if let Err(error) = runtime.block_on(registry().open(uri)) {
        prop_assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_opened_or_refused(uri in any::<String>()) {
        try_open(uri)?;
    }

    #[test]
    fn any_text_behind_a_known_scheme_is_opened_or_refused(
        scheme in "file|memory|FILE",
        rest in "(//)?[a-z0-9/:%&=?#+ äµ\u{0}]{0,30}",
    ) {
        try_open(format!("{scheme}:{rest}"))?;
    }

    #[test]
    fn any_options_are_opened_or_refused(
        options in prop::collection::vec(("path|check|cache|pause|max|x", "[0-9a-zA-Z%.-]{0,12}"), 0..5),
    ) {
        let options: Vec<_> = options.iter().map(|(name, value)| format!("{name}={value}")).collect();
        try_open(format!("file:a?{}", options.join("&")))?;
        try_open(format!("memory:?{}", options.join("&")))?;
    }
}
