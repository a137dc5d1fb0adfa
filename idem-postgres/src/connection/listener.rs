//! Listening to what other processes complete.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use idem_core::Key;
use idem_core::backend::Waiters;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_postgres::AsyncMessage;

use super::connector::{Connector, Opened};
use super::ownership::Ownership;
use crate::batch::StorageKey;
use crate::error::Failure;

/// For the statement that begins to listen.
const LIMIT: Duration = Duration::from_secs(10);
/// What the function `notify` sends by.
const CHANNEL: &str = "idem_settled";
/// Notifications that were not looked at yet. When there are more, all waiters look.
const CAPACITY: usize = 1_024;
/// Before another attempt to connect.
const PAUSE: Duration = Duration::from_secs(1);
/// Before another look whether there is still a pooler. Whoever waits looks four times a second meanwhile.
const POOLER_PAUSE: Duration = Duration::from_mins(1);

/// One connection for the notifications of all callers that wait, opened for the first of them.
#[derive(Debug)]
pub(crate) struct Listener {
    /// None: nobody ever listens.
    connector: Option<Connector>,
    waiters: Arc<Waiters>,
    /// That of the store, which may outlive the runtime of whoever waits first.
    runtime: Handle,
    started: AtomicBool,
}

impl Listener {
    /// Must be called on a runtime, on which it will listen.
    pub(crate) fn new(connector: Option<Connector>) -> Self {
        Self {
            connector,
            waiters: Arc::default(),
            runtime: Handle::current(),
            started: AtomicBool::new(false),
        }
    }

    /// Those that it wakes.
    pub(crate) fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    /// Begins to listen where nobody has begun before. Until then, and while there is no connection, those who wait look
    /// every now and then.
    pub(crate) fn start(&self) {
        let Some(connector) = &self.connector else { return };
        if !self.started.swap(true, Ordering::AcqRel) {
            self.runtime.spawn(run(connector.clone(), Arc::downgrade(&self.waiters)));
        }
    }
}

/// Listens until the store is dropped.
async fn run(connector: Connector, waiters: Weak<Waiters>) {
    while waiters.strong_count() > 0 {
        let pause = match listen(&connector, &waiters).await {
            Ok(Ownership::Own) => continue,
            Ok(Ownership::Lent) => POOLER_PAUSE,
            Err(failure) => {
                tracing::debug!(failure = failure.message, "there are no notifications for now");
                PAUSE
            }
        };
        sleep(pause).await;
    }
}

/// Listens until the store is dropped, and not at all in a session that is lent: whoever it is lent to next would hear what
/// is for this store.
async fn listen(connector: &Connector, waiters: &Weak<Waiters>) -> Result<Ownership, Failure> {
    let (heard, mut notifications) = mpsc::channel(CAPACITY);
    let overrun = Arc::new(AtomicBool::new(false));
    let missed = Arc::clone(&overrun);
    let hear = move |message| {
        if let AsyncMessage::Notification(notification) = message
            && heard.try_send(notification).is_err()
        {
            missed.store(true, Ordering::Release);
        }
    };
    let Opened { client, session, ownership, .. } = connector.connect(hear).await?;
    if ownership == Ownership::Lent {
        tracing::debug!("there are no notifications, since a pooler lends its sessions");
        return Ok(ownership);
    }
    let listen = format!("LISTEN {CHANNEL}");
    timeout(LIMIT, client.batch_execute(&listen)).await.map_err(|_| Failure::unanswered(LIMIT))??;
    // What was completed before is not told any more.
    let Some(all) = waiters.upgrade() else { return Ok(ownership) };
    all.wake_all();
    drop(all);
    loop {
        let notification = timeout(PAUSE, notifications.recv()).await;
        let Some(waiters) = waiters.upgrade() else { return Ok(ownership) };
        if overrun.swap(false, Ordering::AcqRel) {
            waiters.wake_all();
        }
        match notification {
            Ok(Some(notification)) => wake(&waiters, notification.payload()),
            Ok(None) => return Err(Failure::reconnect("the connection for notifications has ended")),
            Err(_) if session.is_over() => return Err(Failure::reconnect("the server was replaced")),
            // A look whether the store is still there.
            Err(_) => {}
        }
    }
}

/// Keys, or a star where there are too many.
fn wake(waiters: &Waiters, payload: &str) {
    for text in payload.split(' ') {
        match key(text) {
            Some(key) => waiters.wake(&key),
            None => waiters.wake_all(),
        }
    }
}

fn key(text: &str) -> Option<Key> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let mut key: StorageKey = [0; Key::STORAGE_LEN];
    let length = STANDARD.decode_slice(text, &mut key).ok()?;
    (length == key.len()).then(|| Key::from_storage_key(key))
}
