//! Who hears of notifications.

/// Is told what servers send without having been asked.
pub(crate) trait NotificationListener: Send + Sync {
    /// Something was said on `channel`, or nothing will be any more.
    fn notify(&self, channel: &str);

    /// A connection ended, and with it all its notifications.
    fn end(&self);
}
