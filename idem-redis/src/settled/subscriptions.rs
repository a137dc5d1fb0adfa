//! Subscriptions, by sharded pub/sub, to the ends of leases that any process may hold. Their number is bounded.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::connection::link::Link;
use crate::connection::notification_listener::NotificationListener;

/// The keys that this process waits for.
pub(crate) struct Subscriptions(Arc<Shared>);

struct Shared {
    channels: Mutex<HashMap<String, Channel>>,
    max: usize,
}

/// One key that this process waits for.
struct Channel {
    changed: Arc<Notify>,
    waiters: usize,
    /// The connection that was asked for notifications.
    link: Arc<Link>,
    /// Whether the connection refused the subscription.
    is_refused: bool,
}

/// A caller that waits for one key, until it is dropped.
pub(crate) struct Waiter {
    shared: Arc<Shared>,
    channel: String,
    pub(crate) changed: Arc<Notify>,
    /// Whether notifications were asked for and not refused.
    pub(crate) is_notified: bool,
}

impl Subscriptions {
    /// At most `max` keys at one time.
    pub(crate) fn new(max: usize) -> Self {
        Self(Arc::new(Shared { channels: Mutex::default(), max }))
    }

    /// The listener to which connections report notifications.
    pub(crate) fn listener(&self) -> Arc<dyn NotificationListener> {
        Arc::clone(&self.0) as Arc<dyn NotificationListener>
    }

    /// Subscribes to `channel` on `link`. `None` when too many keys are waited for already.
    pub(crate) async fn join(&self, channel: &str, link: &Arc<Link>) -> Option<Waiter> {
        let (mut waiter, is_new) = self.0.enter(channel, link)?;
        if is_new && let Err(error) = link.subscribe(channel).await {
            // Subscribing is forbidden, or the slot is migrating. The waiter polls then.
            tracing::debug!(fault = ?error, "no notifications");
            waiter.is_notified = false;
            self.0.refused(channel, link);
        }
        Some(waiter)
    }
}

impl Shared {
    fn channels(&self) -> MutexGuard<'_, HashMap<String, Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a waiter, and says whether `link` must be subscribed first.
    fn enter(self: &Arc<Self>, channel: &str, link: &Arc<Link>) -> Option<(Waiter, bool)> {
        let mut channels = self.channels();
        let has_room = channels.len() < self.max;
        let waiter = |changed: &Arc<Notify>, is_notified| Waiter {
            shared: Arc::clone(self),
            channel: channel.to_owned(),
            changed: Arc::clone(changed),
            is_notified,
        };
        match channels.entry(channel.to_owned()) {
            MapEntry::Occupied(mut known) => {
                let known = known.get_mut();
                known.waiters += 1;
                let is_new = !Arc::ptr_eq(&known.link, link);
                known.link = Arc::clone(link);
                known.is_refused &= !is_new;
                Some((waiter(&known.changed, !known.is_refused), is_new))
            }
            MapEntry::Vacant(place) if has_room => {
                let changed = Arc::new(Notify::new());
                let waiter = waiter(&changed, true);
                place.insert(Channel { changed, waiters: 1, link: Arc::clone(link), is_refused: false });
                Some((waiter, true))
            }
            MapEntry::Vacant(_) => None,
        }
    }

    /// Records that `link` refused the subscription to `channel`.
    fn refused(&self, channel: &str, link: &Arc<Link>) {
        if let Some(channel) = self.channels().get_mut(channel)
            && Arc::ptr_eq(&channel.link, link)
        {
            channel.is_refused = true;
        }
    }
}

impl NotificationListener for Shared {
    fn notify(&self, channel: &str) {
        if let Some(channel) = self.channels().get(channel) {
            channel.changed.notify_waiters();
        }
    }

    fn end(&self) {
        for channel in self.channels().values() {
            channel.changed.notify_waiters();
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut channels = self.shared.channels();
        let MapEntry::Occupied(mut known) = channels.entry(std::mem::take(&mut self.channel)) else { return };
        known.get_mut().waiters -= 1;
        if known.get().waiters > 0 {
            return;
        }
        let (channel, Channel { link, .. }) = known.remove_entry();
        drop(channels);
        // Without a runtime the connection is about to end too, and the subscription with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let shared = Arc::clone(&self.shared);
            runtime.spawn(async move { leave(&shared, &link, &channel).await });
        }
    }
}

/// Unsubscribes from `channel`, unless it has a waiter again.
async fn leave(shared: &Shared, link: &Link, channel: &str) {
    if shared.channels().contains_key(channel) {
        return;
    }
    // A failed link has no subscriptions left.
    let _ = link.unsubscribe(channel).await;
    if shared.channels().contains_key(channel) {
        let _ = link.subscribe(channel).await;
    }
}
