//! One test for each row that is provoked, and the rows that are not.

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind};

use super::support::name;
use super::{in_clusters, on_one_server, with_replicas};
use crate::protocol::errors::error_reply::of_reply;
use crate::protocol::errors::table::Row;

/// One text of a server, and what the store has told its caller where it was asked.
struct ServerText {
    text: String,
    told: Option<ErrorKind>,
}

impl From<String> for ServerText {
    fn from(text: String) -> Self {
        Self { text, told: None }
    }
}

impl From<Error> for ServerText {
    fn from(error: Error) -> Self {
        let (_, text) = error.message().split_once(" answers: ").unwrap_or_else(|| panic!("{error:?}"));
        Self { text: text.to_owned(), told: Some(error.kind()) }
    }
}

/// A test for each: its name, the row, what a call is told that ends with it, and what provokes it.
macro_rules! provoked {
    ($($name:ident: $row:literal => $kind:ident = $provoke:path;)*) => {
        pub(super) const PROVOKED: &[&str] = &[$($row),*];

        $(#[tokio::test]
        async fn $name() {
            assert_claimed($row, ErrorKind::$kind, $provoke().await.into());
        })*
    };
}

provoked! {
    a_slot_elsewhere: "MOVED" => Unavailable = in_clusters::elsewhere;
    a_slot_on_its_way: "ASK" => Unavailable = in_clusters::on_its_way;
    keys_of_a_slot_on_its_way: "TRYAGAIN" => Unavailable = in_clusters::torn_apart;
    a_slot_that_nobody_has: "CLUSTERDOWN" => Unavailable = in_clusters::nobodys;
    keys_of_two_slots: "CROSSSLOT" => Unavailable = in_clusters::of_two_slots;
    a_script_that_leaves_its_slot: "ERR access a non local key" => Timeout = in_clusters::script_elsewhere;
    a_script_that_is_not_known: "NOSCRIPT" => Unavailable = on_one_server::unknown_script;
    no_memory: "OOM" => Full = on_one_server::full;
    a_disk_that_fails: "MISCONF" => Unavailable = on_one_server::disk;
    too_few_replicas: "NOREPLICAS" => Unavailable = on_one_server::too_few_replicas;
    a_server_that_starts: "LOADING" => Unavailable = on_one_server::starting;
    a_server_that_is_busy: "BUSY" => Unavailable = on_one_server::busy;
    a_script_that_is_killed: "ERR killed by user with SCRIPT KILL" => Unavailable = on_one_server::killed;
    a_replica_without_its_master: "MASTERDOWN" => Unavailable = with_replicas::masterless;
    a_replica: "READONLY" => Unavailable = with_replicas::replica;
    a_script_on_a_replica: "READONLY" => Unavailable = with_replicas::script_on_replica;
    a_demotion_while_waiting: "UNBLOCKED" => Timeout = with_replicas::demoted;
    waiting_on_a_replica: "ERR cannot be used with replica instances" => Timeout = with_replicas::wait_on_replica;
    a_key_of_another_type: "WRONGTYPE" => Corrupt = on_one_server::another_type;
    no_password: "NOAUTH" => InvalidConfig = on_one_server::no_password;
    no_password_in_hello: "NOAUTH" => InvalidConfig = on_one_server::no_password_in_hello;
    a_wrong_password: "WRONGPASS" => InvalidConfig = on_one_server::wrong_password;
    a_command_that_is_forbidden: "NOPERM" => InvalidConfig = on_one_server::forbidden;
    a_key_that_is_forbidden: "NOPERM" => InvalidConfig = on_one_server::forbidden_key;
    a_command_that_is_forbidden_midway: "ERR The user executing the script" => Timeout = on_one_server::forbidden_midway;
    another_protocol: "NOPROTO" => InvalidConfig = on_one_server::another_protocol;
    too_many_clients: "ERR max number of clients" => Unavailable = on_one_server::too_many_clients;
    a_command_that_is_not_known: "ERR unknown command" => InvalidConfig = on_one_server::unknown_command;
    a_command_that_is_not_known_to_a_script: "ERR called from script" => Timeout = on_one_server::unknown_to_script;
    a_script_that_is_no_lua: "ERR compiling script" => InvalidConfig = on_one_server::no_lua;
    a_script_with_an_unknown_flag: "ERR compiling script" => InvalidConfig = on_one_server::unknown_flag;
    a_script_that_fails: "ERR user_script:" => Timeout = on_one_server::failing_script;
    a_database_that_is_not_there: "ERR DB index is out of range" => InvalidConfig = on_one_server::no_database;
    no_cluster: "ERR cluster support disabled" => InvalidConfig = on_one_server::no_cluster;
    a_value_beyond_the_servers_limit: "ERR Protocol error" => InvalidConfig = on_one_server::large_value;
}

/// Rows that no test provokes here, each with the reason.
pub(super) const NOT_PROVOKED: &[(&str, &str)] = &[
    ("DENIED", "asks for a connection from another machine; the program has its text, see `programs`"),
    (
        "ERR WAITAOF cannot be used when numlocal",
        "Redis 7.0 lacks the command; `on_one_server` has a test of its own",
    ),
];

fn assert_claimed(row: &str, kind: ErrorKind, answer: ServerText) {
    let ServerText { text, told } = answer;
    assert_eq!(name(Row::of(&text)), row, "{text}");
    let error = of_reply(&text, &"h:1".parse().unwrap());
    assert_eq!(error.into_error(Operation::Lock, false).kind(), kind, "{text}");
    assert!(told.is_none_or(|told| told == kind), "the store tells {told:?} of {text}");
}
