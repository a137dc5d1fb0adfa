//! Servers for many tests of one run.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::kind::ServerKind;
use super::node::Node;
use super::pair::Pair;
use super::pooler::Pooler;
use super::server::Server;
use crate::process::{Noted, share};

/// A lone server for all tests of this run, of the version that the environment names. Change nothing about it; use a
/// schema that no other test uses.
///
/// # Panics
/// When it does not start.
pub async fn shared_lone() -> Node {
    shared_lone_of(ServerKind::chosen()).await
}

/// As [`shared_lone`], of this version.
///
/// # Panics
/// When it does not start.
pub async fn shared_lone_of(kind: ServerKind) -> Node {
    static SHARED: [OnceCell<Node>; ServerKind::ALL.len()] = [const { OnceCell::const_new() }; _];
    let shared = async || {
        let name = format!("{kind}-lone");
        let start = async |leash| {
            // Each test has connections of its own.
            let options = Server::options().kind(kind).config("max_connections = 400").leash(Arc::new(leash));
            vec![options.start().await.node()]
        };
        share(&name, start).await.swap_remove(0)
    };
    *SHARED[kind as usize].get_or_init(shared).await
}

/// A primary and its synchronous standby, in this order, for all tests of this run. The rules of [`shared_lone`] apply.
///
/// # Panics
/// When they do not start.
pub async fn shared_pair_of(kind: ServerKind) -> [Node; 2] {
    static SHARED: [OnceCell<[Node; 2]>; ServerKind::ALL.len()] = [const { OnceCell::const_new() }; _];
    let shared = async || {
        let start = async |leash| {
            let options = Pair::options().kind(kind).config("max_connections = 400").leash(Arc::new(leash));
            let pair = options.start().await;
            vec![pair.primary().node(), pair.standby().node()]
        };
        match <[Node; 2]>::try_from(share(&format!("{kind}-pair"), start).await) {
            Ok(nodes) => nodes,
            Err(nodes) => panic!("a pair of {}", nodes.len()),
        }
    };
    *SHARED[kind as usize].get_or_init(shared).await
}

/// A pooler of a few sessions for all tests of this run, in transaction mode, in front of [`shared_lone`].
///
/// # Panics
/// When it does not start.
pub async fn shared_pooled() -> Node {
    static SHARED: OnceCell<Node> = OnceCell::const_new();
    let shared = async || {
        let server = shared_lone().await;
        let start = async |leash| {
            let lines = ["pool_mode = transaction", "default_pool_size = 4"];
            vec![Pooler::on_leash(server, &lines, Some(leash)).await.node()]
        };
        share("postgres-pooled", start).await.swap_remove(0)
    };
    *SHARED.get_or_init(shared).await
}

impl Noted for Node {
    fn note(&self) -> String {
        self.addr.to_string()
    }

    fn read(note: &str) -> Option<Self> {
        Some(Self { addr: note.parse().ok()? })
    }

    async fn is_alive(&self) -> bool {
        self.try_sql("SELECT 1").await.is_ok()
    }
}
