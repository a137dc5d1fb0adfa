//! [`Store::settled`](idem_core::Store::settled): woken by notifications. It polls as well, since notifications may be lost.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use idem_core::error::Operation;
use idem_core::{Key, Result};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::protocol::calls;
use crate::protocol::reply::ScriptReply;
use crate::retry::CallContext;
use crate::settled::subscriptions::{Subscriptions, Waiter};
use crate::topology::node::server_time::ServerTime;
use crate::topology::servers::Topology;

/// Polling interval for a key with notifications, which may be lost.
const POLL_WITH_NOTIFICATIONS: Duration = Duration::from_secs(1);
/// Polling interval for a key without notifications.
const POLL_WITHOUT_NOTIFICATIONS: Duration = Duration::from_millis(250);
/// A longer timeout counts as this, so that the deadline can be computed.
const MAX_TIMEOUT: Duration = Duration::from_hours(365 * 24);

/// A live lease.
struct LiveLease {
    left: Duration,
    /// Whether its holder was asked to send a notification when it ends.
    will_notify: bool,
}

/// The parts of a store that waiting for a key needs.
pub(crate) struct Settling<'a> {
    pub(crate) topology: &'a Arc<Topology>,
    pub(crate) time: &'a ServerTime,
    pub(crate) subscriptions: &'a Subscriptions,
    pub(crate) call_timeout: Duration,
}

impl Settling<'_> {
    /// Whether `key` is settled within `timeout`. `channel`: its Redis key, which is also the channel of its notifications.
    pub(crate) async fn until_settled(&self, key: &Key, channel: String, timeout: Duration) -> Result<bool> {
        let over = Instant::now() + timeout.min(MAX_TIMEOUT);
        let redis_key = Bytes::from(channel.clone());
        let never = Arc::new(Notify::new());
        loop {
            let soon = over.min(Instant::now() + self.call_timeout);
            let waiter = timeout_at(soon, self.join(&channel, &redis_key)).await.ok().flatten();
            // Registered before the record is read, so that a completion in between is not missed.
            let changed = waiter.as_ref().map_or(&never, |waiter| &waiter.changed);
            let mut woken = pin!(changed.notified());
            woken.as_mut().enable();
            let Some(LiveLease { left, will_notify }) = self.live_lease(key, &redis_key).await? else {
                return Ok(true);
            };
            if Instant::now() >= over {
                return Ok(false);
            }
            let is_notified = will_notify && waiter.as_ref().is_some_and(|waiter| waiter.is_notified);
            let pause = if is_notified { POLL_WITH_NOTIFICATIONS } else { POLL_WITHOUT_NOTIFICATIONS };
            let next_poll = over.min(Instant::now() + left.min(pause));
            // Whether woken or timed out, the record is read again.
            let _ = timeout_at(next_poll, woken).await;
        }
    }

    /// The live lease of `key`. Asks the holder to send a notification when it ends.
    async fn live_lease(&self, key: &Key, redis_key: &Bytes) -> Result<Option<LiveLease>> {
        let context = self.call_context(redis_key);
        let answered = match context.run(&calls::wait(redis_key), |_| false).await {
            Ok(answered) => answered,
            // The flag that asks for a notification cannot be written, so only polling is left.
            Err(error) if error.is_write_refused() => {
                return self.lease_without_notification(key, redis_key).await;
            }
            Err(error) => return Err(error.into_error(Operation::Settled)),
        };
        let reply = ScriptReply::of(&answered.reply);
        match reply.word {
            b"held" => {
                let left = reply.number(0).map(|left| Duration::from_millis(left.unsigned_abs()));
                Ok(left.map(|left| LiveLease { left, will_notify: true }))
            }
            b"free" => Ok(None),
            // A damaged record: reading it reports what is wrong.
            _ => self.lease_without_notification(key, redis_key).await,
        }
    }

    /// The live lease of `key`. Does not ask for a notification.
    async fn lease_without_notification(&self, key: &Key, redis_key: &Bytes) -> Result<Option<LiveLease>> {
        let context = self.call_context(redis_key);
        // Cold path: boxed to keep the caller's future small.
        let record = Box::pin(context.read(key, redis_key)).await?;
        let left = record.and_then(|record| record.lease_remaining());
        Ok(left.map(|left| LiveLease { left, will_notify: false }))
    }

    fn call_context(&self, redis_key: &Bytes) -> CallContext<'_> {
        CallContext::new(self.topology, self.time, redis_key, self.call_timeout)
    }

    /// Subscribes to the notifications of a key; `None` when none will come.
    async fn join(&self, channel: &str, redis_key: &Bytes) -> Option<Waiter> {
        let node = self.topology.node(self.topology.slot_of(redis_key)).ok()?;
        self.subscriptions.join(channel, &node.notifier().await.ok()?).await
    }
}
