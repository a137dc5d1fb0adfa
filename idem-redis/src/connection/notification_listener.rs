//! Who hears of notifications.

/// Is told what servers send without having been asked.
pub(crate) trait NotificationListener: Send + Sync {
    /// A message came on `channel`, or the subscription to it ended.
    fn notify(&self, channel: &str);

    /// A connection ended, and with it all its subscriptions.
    fn end(&self);
}
