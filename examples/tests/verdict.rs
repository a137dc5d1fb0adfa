//! The ledger's comparison notices everything that may go wrong. `ledger --crash` relies on that.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    dead_code,
    reason = "only some modules of the example are included here, not those that use the rest"
)]

#[path = "../ledger/answer.rs"]
mod answer;
#[path = "../ledger/audit.rs"]
mod audit;
#[path = "../ledger/request.rs"]
mod request;
#[path = "../ledger/tally.rs"]
mod tally;
#[path = "../ledger/verdict.rs"]
mod verdict;

use answer::{Answer, Reply};
use audit::{Booked, Entry, Expected};
use request::Line;
use tally::Tally;

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

const STREAM: &str = r#"{"account":"a","key":"1","cents":250,"currency":"EUR"}
{"account":"b","key":"1","cents":1000,"currency":"USD"}
{"account":"a","key":"1","cents":250,"currency":"EUR"}
{"account":"a","key":"1","cents":999,"currency":"EUR"}
no request
"#;

#[test]
fn sound_books_pass() {
    assert_eq!(violation(|_, _| {}), None);
}

#[test]
fn a_payment_booked_twice_is_seen() {
    let seen = violation(|booked, _| {
        of_a(booked).push(Entry { booking: 72, cents: 250, currency: "EUR".to_owned() });
        balance_of_a(booked, 500);
    });
    assert_seen(seen, "booked as [Entry { booking: 71");
}

#[test]
fn a_payment_not_booked_is_seen() {
    let seen = violation(|booked, _| {
        booked.entries.remove(&id("a"));
        booked.balances.remove(&("a".to_owned(), "EUR".to_owned()));
    });
    assert_seen(seen, "booked as []");
}

#[test]
fn a_balance_off_by_a_cent_is_seen() {
    assert_seen(
        violation(|booked, _| balance_of_a(booked, 249)),
        "the balances are not what the stream says",
    );
}

#[test]
fn an_entry_that_no_balance_has_is_seen() {
    assert_seen(violation(|booked, _| of_a(booked)[0].cents = 251), "not the sums of the entries");
}

#[test]
fn a_payment_that_nobody_asked_for_is_seen() {
    let seen = violation(|booked, _| drop(booked.entries.insert(id("c"), Vec::new())));
    assert_seen(seen, "nobody asked for it");
}

#[test]
fn an_acknowledged_booking_that_was_lost_is_seen() {
    assert_seen(violation(|booked, _| of_a(booked)[0].booking = 99), "its clients were told Some(71)");
}

#[test]
fn a_retry_that_is_told_another_booking_is_seen() {
    let seen = violation(|_, answers| answers[2].reply = Reply::Booked(72));
    assert_seen(seen, "lines {3} were told another booking");
}

#[test]
fn a_used_key_that_is_not_refused_is_seen() {
    let seen = violation(|_, answers| answers[3].reply = Reply::Replayed(71));
    assert_seen(seen, "refused {} instead of {4}");
}

#[test]
fn a_line_without_an_answer_is_seen() {
    assert_seen(
        violation(|_, answers| answers.retain(|answer| answer.line != 3)),
        "1 lines were never answered",
    );
}

#[test]
fn an_answer_survives_the_pipe() {
    for reply in [Reply::Booked(u64::MAX), Reply::Replayed(0), Reply::Refused, Reply::Bad] {
        let answer = Answer { line: 7, reply };
        assert_eq!(answer.to_string().parse(), Ok(answer));
    }
    for no_answer in ["", "7", "x booked 1", "7 booked", "7 booked -1", "7 refused 1", "7 lost"] {
        assert!(no_answer.parse::<Answer>().is_err(), "{no_answer:?}");
    }
}

/// What the comparison finds after `spoil` has changed sound books and answers.
fn violation(spoil: impl FnOnce(&mut Booked, &mut Vec<Answer>)) -> Option<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), STREAM).unwrap();
    let stream = request::read(file.path()).unwrap();
    let (mut booked, mut answers) = (sound_books(&stream), sound_answers());
    spoil(&mut booked, &mut answers);
    let mut tally = Tally::new(&stream);
    for answer in &answers {
        tally.note(answer).unwrap();
    }
    let compared = verdict::every_payment_once(&Expected::of(&stream), &booked, &tally);
    compared.err().map(|violations| violations.to_string())
}

fn sound_books(stream: &[Line]) -> Booked {
    let mut booked = Booked { balances: Expected::of(stream).balances, ..Booked::default() };
    let entry =
        |booking, cents, currency: &str| vec![Entry { booking, cents, currency: currency.to_owned() }];
    booked.entries.insert(id("a"), entry(71, 250, "EUR"));
    booked.entries.insert(id("b"), entry(71, 1_000, "USD"));
    booked
}

fn sound_answers() -> Vec<Answer> {
    let replies = [Reply::Booked(71), Reply::Booked(71), Reply::Replayed(71), Reply::Refused, Reply::Bad];
    (1..).zip(replies).map(|(line, reply)| Answer { line, reply }).collect()
}

fn id(account: &str) -> (String, String) {
    (account.to_owned(), "1".to_owned())
}

fn of_a(booked: &mut Booked) -> &mut Vec<Entry> {
    booked.entries.get_mut(&id("a")).unwrap()
}

fn balance_of_a(booked: &mut Booked, cents: u128) {
    booked.balances.insert(("a".to_owned(), "EUR".to_owned()), cents);
}

fn assert_seen(violation: Option<String>, what: &str) {
    let violation = violation.unwrap_or_default();
    assert!(violation.contains(what), "{what:?} is missing in {violation:?}");
}
