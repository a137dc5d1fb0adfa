//! The settings of a session that say what a commit waits for.

use tokio_postgres::Client;

use super::standby_names::demanded;
use crate::error::{Failure, Recovery};
use crate::sql::{self, Row};

/// The settings of a session at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    standby_names: String,
    synchronous_commit: String,
    fsync: String,
    /// When the session has read its configuration, and when it was asked, in microseconds by the server's clock.
    conf_load_time: i64,
    looked_at: i64,
    /// The session's process: behind a pooler each statement may have another one.
    backend_pid: i32,
    /// From which severity on the server tells what it has to say.
    client_min_messages: String,
}

impl Settings {
    /// The configuration is as the session has read it, which it does anew before it carries out a statement.
    pub(crate) const QUERY: &str = "SELECT current_setting('synchronous_standby_names'), current_setting('synchronous_commit'), \
         current_setting('fsync'), (extract(epoch FROM pg_conf_load_time()) * 1000000)::bigint, pg_backend_pid(), \
         current_setting('client_min_messages'), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

    /// Asks for those of the session that `client` has.
    pub(crate) async fn of(client: &Client) -> Result<Self, Failure> {
        Self::read(&sql::of_tokio_postgres::rows(client, Self::QUERY, &[]).await?)
    }

    /// What the statement [`QUERY`](Self::QUERY) has told.
    pub(crate) fn read(rows: &[Row]) -> Result<Self, Failure> {
        let row = rows.first().ok_or_else(|| Failure::incompatible("the server tells no settings"))?;
        Ok(Self {
            standby_names: row.get(0)?,
            synchronous_commit: row.get(1)?,
            fsync: row.get(2)?,
            conf_load_time: row.get(3)?,
            backend_pid: row.get(4)?,
            client_min_messages: row.get(5)?,
            looked_at: row.get(6)?,
        })
    }

    /// What was committed outlives a crash of the server.
    pub(crate) fn is_durable(&self) -> bool {
        self.fsync == "on" && self.synchronous_commit != "off"
    }

    /// What was committed is on a standby as well.
    pub(crate) fn is_replicated(&self) -> bool {
        self.waits() && demanded(&self.standby_names) > 0
    }

    fn waits(&self) -> bool {
        matches!(&*self.synchronous_commit, "on" | "remote_write" | "remote_apply")
    }

    /// Why a commit may be answered before this many standbys have it. None: it is not.
    pub(crate) fn lack(&self, acks: u8) -> Option<Failure> {
        let commit = &self.synchronous_commit;
        if acks > 0 && !self.waits() {
            let message = format!(
                "acks={acks}, and with synchronous_commit = {commit} no commit waits for a standby: set it to on, \
                 remote_write or remote_apply, on the server and for this role and database"
            );
            // It may be the role's, and then it is so until the session ends.
            return Some(Failure { recovery: Recovery::Reconnect, message });
        }
        if acks > 0 && self.client_min_messages == "error" {
            // In a session that is the connection's own it is not so, but a pooler's may be the role's.
            let message = format!(
                "acks={acks}, and with client_min_messages = error the server does not tell that a commit waits no longer: \
                 set it to warning or lower for this role and database"
            );
            return Some(Failure { recovery: Recovery::Reconnect, message });
        }
        let number = demanded(&self.standby_names);
        (number < u32::from(acks)).then(|| {
            let names = &self.standby_names;
            let message = format!(
                "acks={acks}, and with synchronous_standby_names = '{names}' commits wait for {number} standbys: set it on \
                 the server, for example to 'ANY {acks} (*)', or choose fewer acks"
            );
            Failure { recovery: Recovery::Resend, message }
        })
    }

    /// Why what was committed between a moment with these settings and one with those `later` may not be on this many
    /// standbys. None: it is.
    pub(crate) fn doubt(&self, later: &Self, acks: u8) -> Option<String> {
        if let Some(lack) = later.lack(acks) {
            return Some(lack.message);
        }
        let reloaded = if self.backend_pid == later.backend_pid {
            self.conf_load_time != later.conf_load_time
        } else {
            // Perhaps before the commit, since a session that nobody uses reads nothing.
            self.looked_at <= later.conf_load_time
        };
        // Names may have been taken away and put back, which lets go all commits that wait.
        reloaded
            .then(|| "the server has read its configuration anew while a commit may have waited".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(standby_names: &str, synchronous_commit: &str) -> Settings {
        Settings {
            standby_names: standby_names.to_owned(),
            synchronous_commit: synchronous_commit.to_owned(),
            fsync: "on".to_owned(),
            conf_load_time: 5,
            looked_at: 7,
            backend_pid: 1,
            client_min_messages: "notice".to_owned(),
        }
    }

    #[test]
    fn commits_wait_for_as_many_standbys_as_names_and_commits_say() {
        for (names, commit, enough) in [
            ("", "on", 0),
            ("a", "on", 1),
            ("ANY 2 (*)", "remote_apply", 2),
            ("ANY 2 (*)", "remote_write", 2),
            ("a", "local", 0),
            ("a", "off", 0),
        ] {
            let settings = settings(names, commit);
            for acks in 0..4 {
                assert_eq!(settings.lack(acks).is_none(), acks <= enough, "{names} {commit} {acks}");
            }
            assert_eq!(settings.is_replicated(), enough > 0);
            assert_eq!(settings.is_durable(), commit != "off");
        }
    }

    #[test]
    fn a_session_that_is_not_told_of_warnings_cannot_say_that_a_commit_was_waited_for() {
        let silent = Settings { client_min_messages: "error".to_owned(), ..settings("a", "on") };
        assert!(silent.lack(0).is_none() && silent.lack(1).is_some());
        assert!(settings("a", "on").doubt(&silent, 1).is_some());
    }

    #[test]
    fn what_changed_while_a_commit_waited_leaves_it_in_doubt() {
        let before = settings("a", "on");
        assert_eq!(before.doubt(&before, 1), None);
        assert!(before.doubt(&settings("", "on"), 1).is_some());
        // Taken away and put back.
        let again = Settings { conf_load_time: 8, ..before.clone() };
        assert!(before.doubt(&again, 1).is_some());
        // In another session, behind a pooler.
        let other = |conf_load_time| Settings { backend_pid: 2, conf_load_time, ..before.clone() };
        assert!(before.doubt(&other(8), 1).is_some());
        assert_eq!(before.doubt(&other(6), 1), None);
    }
}
