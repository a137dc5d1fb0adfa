//! The examples `promises` and `ledger` as a user runs them: their exit codes, and what they print for bad input.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::fs;
use std::process::Output;

use support::example;

mod support;

const STREAM: &str = r#"{"account":"a","key":"1","cents":250,"currency":"EUR"}
{"account":"b","key":"1","cents":1000,"currency":"USD"}
{"account":"a","key":"1","cents":250,"currency":"EUR"}
{"account":"a","key":"1","cents":251,"currency":"EUR"}

{"account":"a","key":"","cents":1,"currency":"EUR"}
{"account":"a","key":"2","cents":0,"currency":"EUR"}
{"account":"a","key":"3","cents":1,"currency":"euro"}
{"account":"a","key":"4","cents":1,"currency":"EUR","note":"?"}
{"account":"a"
"#;

#[test]
fn promises_keeps_every_promise_on_each_store() {
    for (uri, last) in [(None, "ok  closed, opened again"), (Some("moka:"), "--  this store is memory-only")]
    {
        let output = run("promises", uri);
        assert!(output.status.success(), "{output:?}");
        let said = text(&output.stdout);
        assert_eq!(
            said.lines().filter(|line| line.starts_with("ok ")).count(),
            if uri.is_some() { 5 } else { 6 }
        );
        assert!(said.lines().last().unwrap().starts_with(last), "{said}");
    }
}

#[test]
fn promises_can_use_a_file_again() {
    let folder = tempfile::tempdir().unwrap();
    let uri = format!("redb:{}", folder.path().join("kept.idem").display());
    for _ in 0..2 {
        let output = run("promises", [&uri]);
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn promises_prints_the_typed_error_of_a_bad_uri() {
    let cases = [
        ("mongo:x", "invalid configuration: unknown store \"mongo\"; known are: redb, redis"),
        ("payments.idem", "invalid configuration"),
        ("redb:", "invalid configuration"),
        ("redb:/", "invalid configuration"),
        ("redb:x?colour=red", "unknown field `colour`"),
        ("moka:?max_bytes=lots", "max_bytes"),
    ];
    for (uri, why) in cases {
        refused(&run("promises", [uri]), why);
    }
    refused(&run("promises", ["moka:", "moka:"]), "usage");
}

#[test]
fn ledger_books_each_payment_once_and_names_bad_lines() {
    let stream = Stream::new(STREAM);
    let output = run("ledger", [stream.path()]);
    assert!(output.status.success(), "{output:?}");
    let said = text(&output.stdout);
    for expected in [
        "2 payments, 1 retries, 1 with a used key and another payment, 5 bad lines",
        "line 6: skipped: build: invalid key",
        "line 7: skipped: the amount is 0",
        "line 8: skipped: \"euro\" is not a currency",
        "line 9: skipped: unknown field `note`",
        "line 10: skipped: EOF while parsing",
        "line 4: refused",
        "ok        equal to the cent, and each of 2 payments booked once",
    ] {
        assert!(said.contains(expected), "{expected:?} is missing in {said}");
    }
}

#[test]
fn ledger_survives_as_many_kills_as_asked_for() {
    let lines = (0..300).map(|n| {
        format!(r#"{{"account":"{}","key":"{}","cents":{},"currency":"EUR"}}"#, n % 7, n % 200, 1 + n % 200)
    });
    let lines: Vec<_> = lines.collect();
    let stream = Stream::new(&lines.join("\n"));
    let output = run("ledger", [stream.path(), OsStr::new("--crash"), OsStr::new("3")]);
    assert!(output.status.success(), "{output:?}");
    let said = text(&output.stdout);
    assert_eq!(said.lines().filter(|line| line.starts_with("kill ")).count(), 3, "{said}");
}

#[test]
fn naive_ledger_books_retries_again() {
    let stream = Stream::new(STREAM);
    let output = run("ledger", [OsStr::new("--naive"), stream.path()]);
    assert!(output.status.success(), "{output:?}");
    let said = text(&output.stdout);
    assert!(said.contains("1 of 2 payments booked more than once, 2 bookings too many"), "{said}");
    assert!(said.contains("too much  EUR         5.01"), "{said}");
}

#[test]
fn naive_ledger_without_retries_has_nothing_to_show() {
    let stream = Stream::new(r#"{"account":"a","key":"1","cents":250,"currency":"EUR"}"#);
    refused(&run("ledger", [OsStr::new("--naive"), stream.path()]), "no payment was booked twice");
}

#[test]
fn ledger_says_what_is_wrong_with_its_arguments() {
    for (arguments, why) in [
        (&["no-such-file.jsonl"][..], "no-such-file.jsonl: No such file"),
        (&["--crash"], "needs a number"),
        (&["--crash", "-1"], "needs a number"),
        (&["--crash", "18446744073709551616"], "needs a number"),
        (&["--fast"], "unknown option --fast"),
        (&["one", "two"], "one FILE only"),
    ] {
        refused(&run("ledger", arguments), why);
    }
}

struct Stream(tempfile::NamedTempFile);

impl Stream {
    fn new(lines: &str) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), lines).unwrap();
        Self(file)
    }

    fn path(&self) -> &OsStr {
        self.0.path().as_os_str()
    }
}

fn run(name: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    example(name).args(arguments).output().unwrap()
}

fn refused(output: &Output, why: &str) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains(why) && !said.contains("panicked"), "{why:?} is missing in {said}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
