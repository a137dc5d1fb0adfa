//! A pooler between the store and its server: pgbouncer.

mod kept_apart;
mod load;
mod modes;
mod notices;

use idem_postgres::PostgresConfig;
use idem_servers::postgres::{Pooler, Server};
use tokio_postgres::Client;

use crate::support::{config_of, connect};

/// Sessions of the server that clients share.
const SESSIONS: usize = 3;

/// A server, and a pooler in front of it that is in transaction mode.
struct Pooled {
    server: Server,
    pooler: Pooler,
    /// Of a store behind the pooler.
    config: PostgresConfig,
}

impl Pooled {
    async fn start() -> Self {
        Self::with(&["pool_mode = transaction", &format!("default_pool_size = {SESSIONS}")]).await
    }

    async fn with(lines: &[&str]) -> Self {
        let server = Server::lone().await;
        let pooler = Pooler::start(server.node(), lines).await;
        let config = config_of(pooler.node());
        Self { server, pooler, config }
    }

    /// For a client that is not behind the pooler.
    fn direct(&self) -> PostgresConfig {
        let mut config = config_of(self.server.node());
        config.schema.clone_from(&self.config.schema);
        config
    }

    /// Runs SQL in each of the sessions that clients share.
    async fn in_each_session(&self, sql: &str) -> Vec<Client> {
        let mut clients = Vec::new();
        for _ in 0..SESSIONS {
            let client = connect(&self.config).await;
            client.batch_execute(&format!("BEGIN; {sql}")).await.unwrap();
            clients.push(client);
        }
        for client in &clients {
            client.batch_execute("COMMIT").await.unwrap();
        }
        clients
    }

    /// Counts in each of the sessions that clients share, and adds it up.
    async fn count_in_sessions(&self, what: &str) -> i64 {
        let clients = self.in_each_session("").await;
        let mut sum = 0;
        for client in &clients {
            client.batch_execute("BEGIN").await.unwrap();
            let row = client.query_typed_one(&format!("SELECT count(*) FROM {what}"), &[]).await.unwrap();
            sum += row.get::<_, i64>(0);
        }
        sum
    }
}
