//! A primary and its standby.

use std::time::Duration;

use super::kind::ServerKind;
use super::node::Node;
use super::options::ServerOptions;
use super::server::Server;
use crate::process::poll;

/// The name by which the primary knows its standby.
const STANDBY: &str = "standby";
const LONGEST_SYNC: Duration = Duration::from_secs(30);
/// Seconds. A standby looks every so often whether it was told to become a primary.
const LONGEST_PROMOTION: u32 = 60;

/// A primary and a standby that streams from it, which is synchronous unless the options say something else. Nobody
/// promotes it but the test.
#[derive(Debug)]
pub struct Pair {
    primary: Server,
    standby: Server,
}

/// How to start a [`Pair`].
#[derive(Debug, Clone)]
#[must_use]
pub struct PairOptions {
    servers: ServerOptions,
    synchronous: bool,
}

impl Pair {
    /// Starts a primary with a synchronous standby, and nothing but the defaults.
    ///
    /// # Panics
    /// Those of [`PairOptions::start`].
    pub async fn start() -> Self {
        Self::options().start().await
    }

    /// How to start one that differs from the defaults.
    ///
    /// # Panics
    /// Those of [`ServerKind::chosen`].
    pub fn options() -> PairOptions {
        PairOptions { servers: Server::options(), synchronous: true }
    }

    /// The first primary, whatever has become of it.
    #[must_use]
    pub fn primary(&self) -> &Server {
        &self.primary
    }

    /// The first standby, whatever has become of it.
    #[must_use]
    pub fn standby(&self) -> &Server {
        &self.standby
    }

    /// Makes a primary of the standby, and returns once it takes writes. The old primary is left as it is. Where commits
    /// wait for a standby they now wait for one of the new primary; [`follower`](Pair::follower) makes one.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn promote(&self) {
        let promoted = self.standby.sql(&format!("SELECT pg_promote(true, {LONGEST_PROMOTION})")).await;
        assert_eq!(promoted, "t", "{}", self.standby.log());
    }

    /// A standby of what was the standby before [`promote`](Pair::promote), in sync.
    ///
    /// # Panics
    /// When it does not start or does not get in sync.
    pub async fn follower(&self) -> Server {
        self.standby.standby(STANDBY).await
    }

    /// Waits until the standby streams and has applied all that the primary has written.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn wait_ok(&self) {
        in_sync(&self.primary, STANDBY).await;
    }
}

impl PairOptions {
    /// A line of `postgresql.conf` of both servers.
    pub fn config(mut self, line: impl Into<String>) -> Self {
        self.servers = self.servers.config(line);
        self
    }

    /// Servers of this version, whatever the environment names.
    pub fn kind(mut self, kind: ServerKind) -> Self {
        self.servers = self.servers.kind(kind);
        self
    }

    /// Commits do not wait for the standby.
    pub fn asynchronous(mut self) -> Self {
        self.synchronous = false;
        self
    }

    /// Commits wait until the standby has applied them: who reads there sees them.
    pub fn remote_apply(self) -> Self {
        self.config("synchronous_commit = remote_apply")
    }

    pub(super) fn leash(mut self, leash: std::sync::Arc<std::io::PipeReader>) -> Self {
        self.servers = self.servers.leash(leash);
        self
    }

    /// Starts both, and waits until the standby is in sync.
    ///
    /// # Panics
    /// When a server does not start or does not get in sync.
    pub async fn start(self) -> Pair {
        let mut servers = self.servers;
        if self.synchronous {
            servers = servers.config(format!("synchronous_standby_names = '{STANDBY}'"));
        }
        let primary = servers.start().await;
        let standby = primary.standby(STANDBY).await;
        Pair { primary, standby }
    }
}

/// Waits until the standby of this name streams and has applied all that `primary` has written.
pub(super) async fn in_sync(primary: &Server, name: &str) {
    let node = primary.node();
    // A synchronous standby that the primary does not yet count as such is "potential" or "async".
    let state = format!(
        "SELECT count(*) FROM pg_stat_replication WHERE application_name = '{name}' AND state = 'streaming'
             AND replay_lsn >= pg_current_wal_lsn()
             AND (sync_state IN ('sync', 'quorum') OR current_setting('synchronous_standby_names') = '')"
    );
    if let Err(missing) = poll(LONGEST_SYNC, || has(node, &state)).await {
        panic!("the standby did not get in sync: {missing}\n{}", primary.log());
    }
}

async fn has(node: Node, sql: &str) -> Result<(), String> {
    match node.try_sql(sql).await?.parse() {
        Ok(1_u32) => Ok(()),
        other => Err(format!("standbys that are: {other:?}")),
    }
}
