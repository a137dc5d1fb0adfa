//! An execution as a `Result`: the key's only value, or an error that says what to do.

use std::error::Error as _;
use std::time::Duration;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Execution, NoResult, StoreExt, UnavailableReason};

use crate::support::{Scripted, key, order, policy};

type Ended = Execution<u8, std::fmt::Error>;

#[test]
fn a_result_is_the_keys_own_and_no_other() {
    assert!(matches!(Ended::Executed(7).into_result(), Ok(7)));
    assert!(matches!(Ended::Replayed(7).into_result(), Ok(7)));
    let remaining = Duration::from_secs(3);
    let unknown = Error::new(ErrorKind::Timeout, Operation::Complete, "no answer");
    let others = [
        (Ended::InProgress { remaining }, true, "3s"),
        (Ended::FingerprintMismatch, false, "another request"),
        // The key's result is that of another attempt.
        (Ended::LeaseLost(7), true, "lost"),
        (Ended::Unavailable(UnavailableReason::TooLarge), false, "too large to be kept"),
        (Ended::Unknown(7, unknown), true, "unknown"),
        (Ended::Failed(std::fmt::Error), false, "failed"),
    ];
    for (ended, is_worth_a_retry, text) in others {
        let none = ended.into_result().unwrap_err();
        assert_eq!(none.is_worth_a_retry(), is_worth_a_retry, "{none:?}");
        assert!(none.to_string().contains(text), "{none}");
        let has_source = matches!(none, NoResult::Unknown(_) | NoResult::Work(_));
        assert_eq!(none.source().is_some(), has_source, "{none:?}");
    }
}

#[tokio::test]
async fn work_that_cannot_fail_needs_no_error_type() {
    let store = Scripted::new();
    for _ in 0..2 {
        let drawn =
            store.execute_infallible(&key(), &order(), &policy(), |_| async { 17_u64 }).await.unwrap();
        assert_eq!(drawn.into_result().unwrap(), 17);
    }
}
