//! A primary and its standby, between which the network can be cut.

use std::net::SocketAddr;
use std::time::Duration;

use idem_servers::postgres::{Node, Pair, PairOptions, Server};
use tokio::time::{sleep, timeout};

use crate::environment::postgres::relay::{Link, Relay};

const LONGEST: Duration = Duration::from_secs(30);

/// A pair whose standby reaches its primary by a relay.
#[derive(Debug)]
pub(crate) struct Replicated {
    pub(crate) pair: Pair,
    link: Relay,
}

impl Replicated {
    /// # Panics
    /// When the servers do not start, and when the standby does not get in sync by the relay.
    pub(crate) async fn start(options: PairOptions) -> Self {
        let pair = options.start().await;
        let link = Relay::to(pair.primary().addr()).await;
        let standby = pair.standby();
        let (host, port) = (link.addr().ip(), link.addr().port());
        let by_the_relay = format!("host={host} port={port} user=postgres application_name=standby");
        standby.sql(&format!("ALTER SYSTEM SET primary_conninfo = '{by_the_relay}'")).await;
        reload(standby).await;
        let moved = async {
            while standby.sql("SELECT sender_port FROM pg_stat_wal_receiver").await != port.to_string() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LONGEST, moved).await.unwrap();
        // It goes on as it has read. A copy of its data, for a standby of its own, must not follow the relay.
        standby.sql("ALTER SYSTEM RESET primary_conninfo").await;
        pair.wait_ok().await;
        Self { pair, link }
    }

    /// Where the primary is, and where the standby is.
    pub(crate) fn addresses(&self) -> [SocketAddr; 2] {
        [self.pair.primary().addr(), self.pair.standby().addr()]
    }

    /// Nothing that either of them sends reaches the other.
    pub(crate) fn cut(&self) {
        self.link.set(Link::Cut);
    }

    /// The standby catches up with its primary.
    pub(crate) fn mend(&self) {
        assert!(self.link.held() > 0, "nothing was lost between the primary and its standby");
        self.link.set(Link::Whole);
    }

    /// How many commits wait for the standby, once there are some.
    ///
    /// # Panics
    /// When there are none for long.
    pub(crate) async fn commits_that_wait(&self) -> i64 {
        const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        let some = async {
            loop {
                match number(self.pair.primary().node(), WAITING).await {
                    0 => sleep(Duration::from_millis(5)).await,
                    waiting => return waiting,
                }
            }
        };
        timeout(LONGEST, some).await.unwrap()
    }

    /// How many locks and completions the primary has that its standby does not have.
    pub(crate) async fn lacking(&self) -> i64 {
        const LATEST: &str = "SELECT coalesce(max(sequence), 0) || ' OR completed_at > ' || coalesce(max(completed_at), 0) \
             FROM idem.records";
        let latest = self.pair.standby().sql(LATEST).await;
        number(
            self.pair.primary().node(),
            &format!("SELECT count(*) FROM idem.records WHERE sequence > {latest}"),
        )
        .await
    }
}

/// What a manager of failovers does to the standbys that a server's commits wait for.
pub(crate) async fn set_standby_names(server: &Server, names: &str) {
    server.sql(&format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'")).await;
    reload(server).await;
    // A session begins with the configuration as the server has read it, which it does a moment later.
    let read = async {
        while server.sql("SHOW synchronous_standby_names").await != names {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONGEST, read).await.unwrap();
}

/// Ends the connections of all stores, and says how many there were.
pub(crate) async fn end_connections(server: &Server) -> i64 {
    const END: &str =
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'idem'";
    number(server.node(), END).await
}

async fn number(server: Node, sql: &str) -> i64 {
    server.sql(sql).await.parse().unwrap()
}

async fn reload(server: &Server) {
    server.sql("SELECT pg_reload_conf()").await;
}
