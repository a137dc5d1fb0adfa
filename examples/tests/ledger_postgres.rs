//! The example `ledger` on PostgreSQL, as a user runs it, with servers on which nobody else has a schema.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::process::Output;

use idem_servers::postgres::{Node, Server};
use support::example;
use tokio::task::spawn_blocking;

mod support;

const OK: &str = "ok        equal to the cent, and each of 1300 payments booked once";
const SCHEMAS: &str = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'ledger%'";

#[tokio::test(flavor = "multi_thread")]
async fn each_payment_is_booked_once_however_often_the_process_is_killed() {
    let server = Server::lone().await;
    let said = succeeded(&run(&server, &["--crash", "10"]).await);
    assert_eq!(said.lines().filter(|line| line.starts_with("kill ")).count(), 10, "{said}");
    assert!(said.contains(OK), "{said}");
    assert_eq!(server.sql(SCHEMAS).await, "0", "nothing is left");
}

/// Connections of the store and of the application, while they are in use.
#[tokio::test(flavor = "multi_thread")]
async fn each_payment_is_booked_once_while_connections_end_too() {
    let server = Server::lone().await;
    let node = server.node();
    let running = tokio::spawn(async move { run(&node, &["--crash", "10"]).await });
    let (mut of_the_store, mut of_the_books) = (0, 0);
    while !running.is_finished() {
        let ended = server.sql(END).await;
        of_the_store += ended.matches("idem").count();
        of_the_books += ended.matches("ledger desk").count();
    }
    let said = succeeded(&running.await.unwrap());
    assert!(said.contains(OK), "{said}");
    println!("ended: {of_the_store} connections of the store, {of_the_books} of the books");
    assert!(of_the_store > 0 && of_the_books > 0);
}

/// Not those by which a store is opened: that is not tried again.
const END: &str = r"SELECT application_name, pg_terminate_backend(pid) FROM (
        SELECT pid, application_name FROM pg_stat_activity
        WHERE application_name = 'ledger desk'
            OR application_name = 'idem' AND query ~ '^SELECT .*\.(lock|lock_one|get|renew|complete|complete_one|release)\('
        ORDER BY random() LIMIT 2
    ) AS several";

#[tokio::test(flavor = "multi_thread")]
async fn naive_books_payments_twice() {
    let server = Server::lone().await;
    let said = succeeded(&run(&server, &["--naive", "--crash", "3"]).await);
    let twice = said.lines().find(|line| line.starts_with("naive ")).unwrap();
    assert!(twice.contains("of 1300 payments booked more than once"), "{said}");
    assert_eq!(server.sql(SCHEMAS).await, "0", "nothing is left");
}

/// The books of two runs have nothing to do with each other, even if one of them was left.
#[tokio::test(flavor = "multi_thread")]
async fn books_of_which_the_verdict_is_bad_are_left_and_named() {
    let server = Server::lone().await;
    let stream = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(stream.path(), r#"{"account":"a","key":"1","cents":250,"currency":"EUR"}"#).unwrap();
    let path = stream.path().to_str().unwrap();
    for left in ["2", "4"] {
        let output = run(&server, &["--naive", path]).await;
        let (said, why) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(why.contains("no payment was booked twice") && why.contains("left as they are"), "{why}");
        assert_eq!(server.sql(SCHEMAS).await, left);
        let schema = said.split_once("schema ").unwrap().1.split_once(',').unwrap().0;
        assert_eq!(server.sql(&format!("SELECT count(*) FROM {schema}.entries")).await, "1");
    }
    let said = succeeded(&run(&server, &[path]).await);
    assert!(said.contains("each of 1 payments booked once"), "{said}");
    assert_eq!(server.sql(SCHEMAS).await, "4");
}

#[test]
fn a_database_that_cannot_be_used_is_refused_without_its_password() {
    for (uri, why) in [
        ("", "--store needs"),
        ("redb:secret", "--store needs"),
        ("postgres://secret", "--store needs"),
        ("postgres://user:secret@host/base?schema=mine", "without options"),
        ("postgres://user:secret@127.0.0.1:secret/base", "--store: "),
        ("postgres://user:secret@127.0.0.1:1/base", "--store: "),
    ] {
        let output = example("ledger").args(["--store", uri]).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(said.contains(why) && !said.contains("panicked") && !said.contains("secret"), "{said}");
    }
}

async fn run(node: &Node, arguments: &[&str]) -> Output {
    let mut ledger = example("ledger");
    ledger.args([OsStr::new("--store"), OsStr::new(&node.uri())]).args(arguments);
    spawn_blocking(move || ledger.output().unwrap()).await.unwrap()
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
