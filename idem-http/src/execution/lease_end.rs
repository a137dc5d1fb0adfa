//! The ends of a lease without an outcome of its attempt: lost to another attempt, or released.

use http::Response;
use http_body::Body;
use idem_core::{Effect, Fingerprint, Key, Lease, LostReason};
use tokio::time::timeout;

use super::store_failure::cause;
use crate::response::body::ResponseBody;
use crate::shared::Shared;

impl Shared {
    /// The answer of the attempt that took over, or 409 while that one is running.
    pub(crate) async fn answer_of_winner<RB: Body>(
        &self,
        key: &Key,
        fingerprint: &Fingerprint,
    ) -> Response<ResponseBody<RB>> {
        let wait = self.options.wait();
        if !wait.is_zero() {
            // Whether it settled or not, the record is read next.
            let _either = timeout(wait, self.store().settled(key, wait)).await;
        }
        let found = timeout(self.store_timeout, self.store().get(key)).await;
        let replies = &self.options.replies;
        match found {
            Ok(Ok(Some(record))) if record.fingerprint != *fingerprint => replies.key_reused(),
            Ok(Ok(Some(record))) => match record.outcome() {
                Some(outcome) => replies.replay(outcome.clone()).1,
                None => replies.in_flight(record.lease_remaining()),
            },
            _ => replies.in_flight(None),
        }
    }

    /// Releases the key of a request that was not executed.
    pub(crate) async fn release(&self, lease: Option<&Lease>) {
        let Some(lease) = lease else { return };
        match timeout(self.store_timeout, self.store().release(lease)).await {
            // A key that is gone or released already, as after a resend, is just as good.
            Ok(Ok(Effect::Applied | Effect::Lost(LostReason::Released | LostReason::Gone))) => {}
            Ok(Ok(Effect::Lost(reason))) => {
                tracing::warn!(key = %lease.key(), ?reason, "the key of a request that was not executed is lost");
            }
            Ok(Err(error)) => {
                let error = cause(&error);
                tracing::warn!(key = %lease.key(), error, "a release failed, the lease ends by itself");
            }
            Err(_) => tracing::warn!(key = %lease.key(), "a release got no answer, the lease ends by itself"),
        }
    }
}
