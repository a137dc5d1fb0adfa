//! Whose session of the server a connection has.
//!
//! A pooler in transaction mode lends one session of the server to many clients, for a transaction at a time. What a client
//! leaves in a session is then met by another: a prepared statement by a client that has another one of that name, and
//! that is not an error but *the wrong statement*. So a session must be known before anything is prepared in it.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, SimpleQueryMessage};

use super::random_hex;
use crate::error::Failure;

/// The parameter that a session is marked by. Any role may set one whose name has a dot.
const PARAMETER: &str = "idem.session";

/// Whose a session of the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// This connection's, from its beginning to its end.
    Own,
    /// A pooler's, or one of the application's pool: perhaps another one for each transaction, and others use it in between.
    Lent,
}

/// What a role or a database may have set otherwise. The server tells by a warning that a commit does not wait for its
/// standbys any longer. Under another isolation calls that come together would fail one another.
const SETTINGS: &str = "-c client_min_messages=notice -c default_transaction_isolation=read\\ committed";

/// A number that one session of the server is started with, and no other.
#[derive(Debug)]
pub(super) struct SessionMark(String);

impl SessionMark {
    pub(super) fn random() -> Result<Self, Failure> {
        Ok(Self(random_hex()?))
    }

    /// The login that begins a session with this mark.
    pub(super) fn on(&self, login: &Config) -> Config {
        let mut marked = login.clone();
        marked.options(format!("-c {PARAMETER}={} {SETTINGS}", self.0));
        marked
    }

    /// Whether the session was started with this mark. A pooler that shares a session among clients cannot have started it
    /// with a number of one of them.
    pub(super) async fn ownership(&self, client: &Client) -> Result<Ownership, Failure> {
        // What the session was started with comes back, but not what a pooler has set since in the client's name.
        let ask = format!("RESET {PARAMETER}; SELECT current_setting('{PARAMETER}', true)");
        let answer = match client.simple_query(&ask).await {
            Ok(answer) => answer,
            Err(error) if error.as_db_error().is_none() => return Err(error.into()),
            Err(error) => {
                tracing::debug!(%error, "a session does not tell its mark");
                return Ok(Ownership::Lent);
            }
        };
        let is_own = answer.iter().any(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0) == Some(&*self.0),
            _ => false,
        });
        Ok(if is_own { Ownership::Own } else { Ownership::Lent })
    }
}

/// Whether a login was refused because of its start-up options, or perhaps so: poolers refuse those that they do not know
/// (pgbouncer by 08P01), each in words of its own. What is refused for the user's sake is not asked for twice.
pub(super) fn refuses_options(error: &tokio_postgres::Error) -> bool {
    let state = error.code().map(SqlState::code);
    state.is_some_and(|state| matches!(state, "08P01" | "0A000" | "22023" | "42501" | "42601" | "42704"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use idem_servers::postgres::shared_lone;
    use tokio_postgres::NoTls;

    use super::*;

    #[tokio::test]
    async fn a_session_that_was_started_with_the_mark_is_own() {
        let mark = SessionMark::random().unwrap();
        let client = connect(mark.on(&login().await)).await;
        assert_eq!(mark.ownership(&client).await.unwrap(), Ownership::Own);
        assert_eq!(SessionMark::random().unwrap().ownership(&client).await.unwrap(), Ownership::Lent);
    }

    /// As a pooler does that gives each client what it has set, in whatever session.
    #[tokio::test]
    async fn a_session_in_which_the_mark_was_set_later_is_not_own() {
        let mark = SessionMark::random().unwrap();
        let client = connect(login().await).await;
        client.batch_execute(&format!("SET {PARAMETER} = '{}'", mark.0)).await.unwrap();
        assert_eq!(mark.ownership(&client).await.unwrap(), Ownership::Lent);
    }

    async fn login() -> Config {
        shared_lone().await.uri().parse().unwrap()
    }

    async fn connect(login: Config) -> Client {
        let (client, connection) = login.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}
