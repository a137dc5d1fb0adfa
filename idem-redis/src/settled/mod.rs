//! [`Store::settled`](idem_core::Store::settled): told by the completion, and looking now and then all the same.

pub(crate) mod waiting;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use idem_core::error::Operation;
use idem_core::{Key, Result, Store as _};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::RedisStore;
use crate::protocol::calls;
use crate::protocol::reply::Said;
use waiting::Waiter;

/// How often to look at a key of which notifications should come, but may be lost.
const NOTIFIED: Duration = Duration::from_secs(1);
/// How often to look at a key of which none come.
const UNNOTIFIED: Duration = Duration::from_millis(250);
/// One past the end of time counts as this.
const LONGEST: Duration = Duration::from_hours(365 * 24);

pub(crate) async fn settled(store: &RedisStore, key: &Key, timeout: Duration) -> Result<bool> {
    let over = Instant::now() + timeout.min(LONGEST);
    let channel = store.redis_key(key);
    let redis_key = Bytes::from(channel.clone());
    let never = Arc::new(Notify::new());
    loop {
        let soon = over.min(Instant::now() + store.call_timeout());
        let waiter = timeout_at(soon, store.join(&channel, &redis_key)).await.ok().flatten();
        // Registered before the look, so that a completion between the look and the wait is not missed.
        let changed = waiter.as_ref().map_or(&never, |waiter| &waiter.changed);
        let mut woken = pin!(changed.notified());
        woken.as_mut().enable();
        let Some(Held { left, is_told }) = held(store, key, &redis_key).await? else { return Ok(true) };
        if Instant::now() >= over {
            return Ok(false);
        }
        let is_notified = is_told && waiter.as_ref().is_some_and(|waiter| waiter.is_notified);
        let pause = if is_notified { NOTIFIED } else { UNNOTIFIED };
        let look_again = over.min(Instant::now() + left.min(pause));
        // Woken or not, the next look tells.
        let _ = timeout_at(look_again, woken).await;
    }
}

/// A live lease.
struct Held {
    left: Duration,
    /// Whether its holder was asked to tell when it ends.
    is_told: bool,
}

/// The live lease of `key`, whose holder is asked to tell when it ends.
async fn held(store: &RedisStore, key: &Key, redis_key: &Bytes) -> Result<Option<Held>> {
    let errand = store.errand(redis_key);
    let answered = match errand.run(&calls::wait(redis_key), |_| false).await {
        Ok(answered) => answered,
        // The mark that asks cannot be written: then only looking is left.
        Err(error) if error.is_of_writing() => {
            return untold(store, key).await;
        }
        Err(error) => return Err(error.into_error(Operation::Settled)),
    };
    let said = Said::of(&answered.reply);
    match said.word {
        b"held" => {
            let left = said.number(0).map(|left| Duration::from_millis(left.unsigned_abs()));
            Ok(left.map(|left| Held { left, is_told: true }))
        }
        b"free" => Ok(None),
        // Damaged: `get` says how.
        _ => untold(store, key).await,
    }
}

/// The live lease of `key`, whose holder was not asked.
async fn untold(store: &RedisStore, key: &Key) -> Result<Option<Held>> {
    let left = store.get(key).await?.and_then(|record| record.lease_remaining());
    Ok(left.map(|left| Held { left, is_told: false }))
}

impl RedisStore {
    /// Begins to wait for notifications; none when none will come.
    async fn join(&self, channel: &str, redis_key: &Bytes) -> Option<Waiter> {
        let node = self.topology().node(self.topology().slot_of(redis_key)).ok()?;
        self.0.waiting.join(channel, &node.notifier().await.ok()?).await
    }
}
