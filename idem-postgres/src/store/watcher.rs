//! Watching what the server does with commits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::connection::Link;
use crate::durability::Settings;

/// How often to look.
const INTERVAL: Duration = Duration::from_secs(1);

/// What the sessions of the store were last seen to have.
#[derive(Debug)]
pub(crate) struct Watcher {
    durable: AtomicBool,
    replicated: AtomicBool,
}

impl Watcher {
    /// Watches the sessions of these links until this value is dropped. Those of the first ones are kept open, the others are
    /// looked at while they are. Each look may take `limit`.
    pub(crate) async fn start((first, others): (&[&Arc<Link>], &[&Arc<Link>]), limit: Duration) -> Arc<Self> {
        let weak = |links: &[&Arc<Link>]| links.iter().map(|link| Arc::downgrade(link)).collect();
        let sessions = Sessions { first: weak(first), others: weak(others), limit };
        // What nobody tells is not promised.
        let watcher = Arc::new(Self { durable: AtomicBool::new(false), replicated: AtomicBool::new(false) });
        watcher.note(&sessions.look().await);
        if !watcher.is_durable() {
            warn_of_loss();
        }
        tokio::spawn(run(Arc::downgrade(&watcher), sessions));
        watcher
    }

    /// Whether what is acknowledged outlives a crash of the server.
    pub(crate) fn is_durable(&self) -> bool {
        self.durable.load(Ordering::Acquire)
    }

    /// Whether what is acknowledged is on a standby as well.
    pub(crate) fn is_replicated(&self) -> bool {
        self.replicated.load(Ordering::Acquire)
    }

    /// Whether it has become durable, or is so no more. Nothing is known while there is no server: then what was seen last
    /// counts.
    fn note(&self, seen: &[Settings]) -> bool {
        if seen.is_empty() {
            return false;
        }
        let durable = seen.iter().all(Settings::is_durable);
        self.replicated.store(seen.iter().all(Settings::is_replicated), Ordering::Release);
        self.durable.swap(durable, Ordering::AcqRel) != durable
    }
}

fn warn_of_loss() {
    tracing::warn!(
        "the store is not durable: with fsync = off or synchronous_commit = off a crash of the server may lose what was \
         acknowledged"
    );
}

/// The links of a store.
struct Sessions {
    first: Vec<Weak<Link>>,
    others: Vec<Weak<Link>>,
    limit: Duration,
}

impl Sessions {
    /// The settings of those that answer.
    async fn look(&self) -> Vec<Settings> {
        let mut looks = JoinSet::new();
        for (links, opens) in [(&self.first, true), (&self.others, false)] {
            for link in links {
                looks.spawn(look(link.clone(), opens, self.limit));
            }
        }
        looks.join_all().await.into_iter().flatten().collect()
    }
}

/// The settings of the session of `link`, which is opened for that where it `opens`.
async fn look(link: Weak<Link>, opens: bool, limit: Duration) -> Option<Settings> {
    let link = link.upgrade()?;
    let connection = if opens {
        // It has limits of its own, and goes through all servers.
        match link.connection().await {
            Ok(connection) => connection,
            Err(failure) => {
                tracing::debug!(failure = failure.message, "no server tells its settings");
                return None;
            }
        }
    } else {
        link.opened()?
    };
    match timeout(limit, connection.settings()).await {
        Ok(Ok(settings)) => Some(settings),
        Ok(Err(failure)) => {
            tracing::debug!(failure = failure.message, "a session does not tell its settings");
            None
        }
        Err(_) => {
            // Otherwise each look would leave one more statement waiting behind the others.
            link.discard(&connection).await;
            None
        }
    }
}

async fn run(watcher: Weak<Watcher>, sessions: Sessions) {
    loop {
        sleep(INTERVAL).await;
        if watcher.strong_count() == 0 {
            return;
        }
        let seen = sessions.look().await;
        let Some(watcher) = watcher.upgrade() else { return };
        match (watcher.note(&seen), watcher.is_durable()) {
            (true, false) => warn_of_loss(),
            (true, true) => tracing::info!("the store is durable again"),
            (false, _) => {}
        }
    }
}
