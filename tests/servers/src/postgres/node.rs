//! Where a server is, and speaking to it.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::kind::INSTALLS;
use crate::process::in_path;

/// Longer than a healthy server takes on a busy machine.
const LONGEST: Duration = Duration::from_secs(30);
/// Who owns the server, in the database and as a user of the system.
pub(super) const SUPERUSER: &str = "postgres";

/// A server's address. It owns nothing, and says nothing of whether the server lives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Node {
    pub(super) addr: SocketAddr,
}

impl Node {
    /// Address and port.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `postgres://postgres@127.0.0.1:5432/postgres`
    #[must_use]
    pub fn uri(&self) -> String {
        format!("postgres://{SUPERUSER}@{}/{SUPERUSER}", self.addr)
    }

    /// Sends SQL as the superuser, by a connection of its own, and gives the values: a line a row, with `|` between the
    /// columns.
    ///
    /// # Errors
    /// What `psql` says.
    pub async fn try_sql(&self, sql: &str) -> Result<String, String> {
        self.try_sql_in(SUPERUSER, sql).await
    }

    /// As [`try_sql`](Node::try_sql), in another database.
    ///
    /// # Errors
    /// What `psql` says.
    pub async fn try_sql_in(&self, database: &str, sql: &str) -> Result<String, String> {
        self.psql(database, &["--command", sql], "").await
    }

    /// Sends a script to `psql`, with its own commands: all by one connection.
    pub(super) async fn try_script(&self, script: &str) -> Result<String, String> {
        self.psql(SUPERUSER, &["--file", "-"], script).await
    }

    async fn psql(&self, database: &str, args: &[&str], input: &str) -> Result<String, String> {
        let psql = in_path(Path::new("psql"), INSTALLS)?;
        let mut command = Command::new(psql);
        command
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"])
            .args(["--host", &self.addr.ip().to_string(), "--port", &self.addr.port().to_string()])
            .args(["--username", SUPERUSER, "--dbname", database])
            .args(args)
            .env("PGCONNECT_TIMEOUT", "5")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let answered = async {
            let mut process = command.spawn()?;
            if let Some(mut stdin) = process.stdin.take() {
                stdin.write_all(input.as_bytes()).await?;
            }
            process.wait_with_output().await
        };
        match timeout(LONGEST, answered).await {
            Err(_) => Err(format!("no answer within {LONGEST:?}")),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(output)) if output.status.success() => {
                Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
            }
            Ok(Ok(output)) => Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned()),
        }
    }

    /// As [`try_sql`](Node::try_sql), for what must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub async fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).await.unwrap_or_else(|failure| panic!("{self}: {sql}: {failure}"))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.addr.fmt(f)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({})", self.addr)
    }
}
