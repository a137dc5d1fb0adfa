//! Connections besides those of the stores.

use std::net::SocketAddr;

use tokio_postgres::{Client, Error, NoTls};

/// How the connections of the store are named on the server.
pub(crate) const OF_THE_STORE: &str = "application_name = 'idem'";

/// A connection of an administrator, or of another application.
pub(crate) async fn connect(server: SocketAddr) -> Client {
    try_connect(server).await.unwrap()
}

/// # Errors
/// When the server refuses it.
pub(crate) async fn try_connect(server: SocketAddr) -> Result<Client, Error> {
    let login = format!("host={} port={} user=postgres connect_timeout=5", server.ip(), server.port());
    let (client, connection) = tokio_postgres::connect(&login, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The one number that a statement gives.
pub(crate) async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
}
