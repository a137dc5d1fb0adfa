//! The interface through which connections report notifications.

/// Receives the notifications that servers push.
pub(crate) trait NotificationListener: Send + Sync {
    /// A message came on `channel`, or the subscription to it ended.
    fn notify(&self, channel: &str);

    /// A connection ended, and all its subscriptions with it.
    fn end(&self);
}
