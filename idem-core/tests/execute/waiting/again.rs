//! What a call that was sent again until the end says.

use std::time::Duration;

use idem_core::ErrorKind;
use idem_core::error::Operation;

use crate::support::{Fault, Scripted, policy, try_book};

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_to_the_end_is_no_timeout_however_the_pauses_fall() {
    for _ in 0..5_000 {
        let store = Scripted::new();
        store.fail_always(Operation::Lock, Fault::Before(ErrorKind::Unavailable));
        let error = try_book(&store, &policy().resend_for(Duration::from_millis(60)), "x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}
