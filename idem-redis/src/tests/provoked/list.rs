//! One test for each row that is provoked, and the rows that are not.

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind};

use super::support::name;
use super::{in_clusters, on_one_server, with_replicas};
use crate::protocol::errors::error_reply::of_reply;
use crate::protocol::errors::table::Row;

/// The error text of a server, and the kind of error that the store returned, where the text was provoked through a store.
struct ServerText {
    text: String,
    returned: Option<ErrorKind>,
}

impl From<String> for ServerText {
    fn from(text: String) -> Self {
        Self { text, returned: None }
    }
}

impl From<Error> for ServerText {
    fn from(error: Error) -> Self {
        let (_, text) = error.message().split_once(" answers: ").unwrap_or_else(|| panic!("{error:?}"));
        Self { text: text.to_owned(), returned: Some(error.kind()) }
    }
}

/// Defines the tests. Each has a name, its row of the table, the kind of error that a call with this error returns, and the
/// function that provokes the error.
macro_rules! provoked {
    ($($name:ident: $row:literal => $kind:ident = $provoke:path;)*) => {
        pub(super) const PROVOKED: &[&str] = &[$($row),*];

        $(#[tokio::test]
        async fn $name() {
            assert_row($row, ErrorKind::$kind, $provoke().await.into());
        })*
    };
}

provoked! {
    a_slot_on_another_node: "MOVED" => Unavailable = in_clusters::slot_elsewhere;
    a_migrating_slot: "ASK" => Unavailable = in_clusters::migrating_slot;
    keys_split_by_a_migration: "TRYAGAIN" => Unavailable = in_clusters::keys_split_by_migration;
    a_slot_without_a_node: "CLUSTERDOWN" => Unavailable = in_clusters::unassigned_slot;
    keys_of_two_slots: "CROSSSLOT" => Unavailable = in_clusters::keys_of_two_slots;
    a_script_that_leaves_its_slot: "ERR access a non local key" => Timeout = in_clusters::script_with_foreign_key;
    an_unknown_script: "NOSCRIPT" => Unavailable = on_one_server::unknown_script;
    a_full_memory: "OOM" => Full = on_one_server::full;
    a_failing_disk: "MISCONF" => Unavailable = on_one_server::failing_disk;
    too_few_replicas: "NOREPLICAS" => Unavailable = on_one_server::too_few_replicas;
    a_server_that_is_loading: "LOADING" => Unavailable = on_one_server::loading;
    a_busy_server: "BUSY" => Unavailable = on_one_server::busy;
    a_killed_script: "ERR killed by user with SCRIPT KILL" => Unavailable = on_one_server::killed;
    a_replica_without_its_master: "MASTERDOWN" => Unavailable = with_replicas::masterless;
    a_replica: "READONLY" => Unavailable = with_replicas::replica;
    a_script_on_a_replica: "READONLY" => Unavailable = with_replicas::script_on_replica;
    a_demotion_while_waiting: "UNBLOCKED" => Timeout = with_replicas::demoted;
    waiting_on_a_replica: "ERR cannot be used with replica instances" => Timeout = with_replicas::wait_on_replica;
    a_key_of_another_type: "WRONGTYPE" => Corrupt = on_one_server::another_type;
    no_password: "NOAUTH" => InvalidConfig = on_one_server::no_password;
    no_password_in_hello: "NOAUTH" => InvalidConfig = on_one_server::no_password_in_hello;
    a_wrong_password: "WRONGPASS" => InvalidConfig = on_one_server::wrong_password;
    a_forbidden_command: "NOPERM" => InvalidConfig = on_one_server::forbidden;
    a_forbidden_key: "NOPERM" => InvalidConfig = on_one_server::forbidden_key;
    a_forbidden_command_midway: "ERR The user executing the script" => Timeout = on_one_server::forbidden_midway;
    an_unknown_protocol_version: "NOPROTO" => InvalidConfig = on_one_server::unknown_protocol;
    too_many_clients: "ERR max number of clients" => Unavailable = on_one_server::too_many_clients;
    an_unknown_command: "ERR unknown command" => InvalidConfig = on_one_server::unknown_command;
    an_unknown_command_in_a_script: "ERR called from script" => Timeout = on_one_server::unknown_command_in_script;
    a_script_that_does_not_compile: "ERR compiling script" => InvalidConfig = on_one_server::invalid_lua;
    a_script_with_an_unknown_flag: "ERR compiling script" => InvalidConfig = on_one_server::unknown_flag;
    a_failing_script: "ERR user_script:" => Timeout = on_one_server::failing_script;
    a_database_that_does_not_exist: "ERR DB index is out of range" => InvalidConfig = on_one_server::no_database;
    no_cluster: "ERR cluster support disabled" => InvalidConfig = on_one_server::no_cluster;
    a_value_beyond_the_servers_limit: "ERR Protocol error" => InvalidConfig = on_one_server::large_value;
}

/// Rows that no test provokes here, each with the reason.
pub(super) const NOT_PROVOKED: &[(&str, &str)] = &[
    ("DENIED", "needs a connection from another machine; `programs` finds its text in the server's binary"),
    (
        "ERR WAITAOF cannot be used when numlocal",
        "Redis 7.0 lacks the command; `on_one_server` has a test of its own",
    ),
];

fn assert_row(row: &str, kind: ErrorKind, answer: ServerText) {
    let ServerText { text, returned } = answer;
    assert_eq!(name(Row::of(&text)), row, "{text}");
    let error = of_reply(&text, &"h:1".parse().unwrap());
    assert_eq!(error.into_error(Operation::Lock, false).kind(), kind, "{text}");
    assert!(returned.is_none_or(|returned| returned == kind), "the store returns {returned:?} for {text}");
}
