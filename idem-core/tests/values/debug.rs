//! `Debug` and `Display` never show what a client sent, nor the bytes of an outcome.

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use idem_core::backend::{Answer, Call, Change, Grant, LeaseControl, Sent, StoreClock, Waiters, decide};
use idem_core::clock::{ManualClock, SystemClock, Timestamp};
use idem_core::error::Operation;
use idem_core::record::{Checkpoint, Record, Replay, State};
use idem_core::{
    Capabilities, Claim, Effect, Error, ErrorKind, Execution, Expired, Fingerprint, Key, Lease, LockAnswer,
    LostReason, Outcome, Owner, Policy, Scope, Token, UnavailableReason,
};

const SECRET: &str = "s3cr3t";

/// The output of every value that holds, or was made from, a client's text or an outcome's bytes.
fn all_shown() -> Vec<String> {
    let clock = SystemClock::shared();
    let scope = Scope::new(SECRET).unwrap();
    let key = Key::new(&scope, SECRET).unwrap();
    let builder = Fingerprint::builder(SECRET).part(SECRET);
    let half_built = show(&builder);
    let fingerprint = builder.finish();
    let claim = Claim {
        owner: Owner::from_bytes([7; 16]),
        lease: Duration::from_secs(10),
        retention: Duration::from_secs(100),
    };
    let token = Token { sequence: 5, owner: claim.owner };
    let outcome = Outcome::Value(Bytes::from_static(SECRET.as_bytes()));
    let checkpoint = Checkpoint::new(3, Bytes::from_static(SECRET.as_bytes()));
    let grant = Grant { token, attempt: 1, checkpoint: Some(checkpoint.clone()), valid_for: claim.lease };
    let lease = Lease::granted(key, fingerprint, &claim, grant.clone(), &Sent::now(&clock));
    let replay = Replay {
        outcome: outcome.clone(),
        completed_at: Timestamp::from_micros(1),
        expires_at: Timestamp::from_micros(2),
        token,
    };
    let lock = Call::Lock { fingerprint, claim, min_sequence: 0 };
    let save = Call::Checkpoint { token, checkpoint: checkpoint.clone(), duration: claim.lease };
    let complete = Call::Complete { token, outcome: outcome.clone(), retention: claim.retention };
    let locked = decide(None, lock.clone(), Timestamp::from_micros(5));
    let Change::Put(record) = &locked.change else { panic!("{locked:?}") };
    let saved = decide(Some(record), save.clone(), Timestamp::from_micros(6));
    let completed = decide(Some(record), complete.clone(), Timestamp::from_micros(6));
    let executions: [Execution<Outcome, Outcome>; 5] = [
        Execution::Executed(outcome.clone()),
        Execution::Replayed(outcome.clone()),
        Execution::LeaseLost(outcome.clone()),
        Execution::Unknown(outcome.clone(), error()),
        Execution::Failed(outcome.clone()),
    ];
    let mut shown = vec![
        show(&scope),
        show(&key),
        key.to_string(),
        half_built,
        show(&fingerprint),
        show(&claim),
        show(&token),
        show(&outcome),
        show(&checkpoint),
        show(&grant),
        show(&lease),
        show(&replay),
        show(&LockAnswer::Acquired(lease.clone())),
        show(&LockAnswer::Completed(replay.clone())),
        show(&[lock, save, complete]),
        show(&Answer::Completed(replay)),
        show(&locked),
        show(&saved),
        show(&completed),
    ];
    shown.extend(executions.iter().map(show));
    shown
}

fn show(value: &impl Debug) -> String {
    format!("{value:?} {value:#?}")
}

fn error() -> Error {
    Error::new(ErrorKind::Timeout, Operation::Complete, "no answer")
}

#[test]
fn nothing_shows_client_text_or_outcome_bytes() {
    // As text, as a list of numbers in either layout, and as hexadecimal digits.
    let numbers = format!("{:?}", SECRET.as_bytes());
    let numbers = numbers.trim_matches(['[', ']']).to_owned();
    let lines = numbers.replace(", ", ",\n");
    for shown in all_shown() {
        let flat: String = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(!flat.contains(&numbers), "{shown}");
        assert!(!shown.contains(&lines), "{shown}");
        assert!(!shown.contains("733363723374"), "{shown}");
    }
}

/// The owner is random bits that the caller made, never a client's text; six bytes of it find it in a log.
#[test]
fn owner_and_token_show_six_bytes_of_the_owner() {
    let owner = Owner::from_bytes([0xAB; 16]);
    assert_eq!(format!("{owner:?}"), "Owner(abababababab)");
    let token = Token { sequence: 5, owner };
    assert_eq!(format!("{token:?}"), "Token { sequence: 5, owner: Owner(abababababab) }");
}

#[test]
fn keys_of_the_same_text_show_the_same_digest() {
    let key = Key::new(&Scope::shared(), "order-1").unwrap();
    let again = Key::new(&Scope::shared(), "order-1").unwrap();
    assert_eq!(key.to_string(), again.to_string());
    assert_eq!(key.to_string().len(), 12);
    assert_ne!(key.to_string(), Key::new(&Scope::shared(), "order-2").unwrap().to_string());
}

#[test]
fn refused_key_is_not_shown_by_the_error() {
    let scope = Scope::shared();
    for client_key in [format!("{SECRET}\n"), SECRET.repeat(50)] {
        let error = Key::new(&scope, client_key).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
    }
    let error = Scope::new(SECRET.repeat(50)).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
}

#[test]
fn result_of_another_type_is_not_shown_by_the_error() {
    let bytes = idem_core::typed::encode_value(SECRET).unwrap();
    let error = idem_core::typed::decode_value::<Option<bool>>(&bytes).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
}

#[test]
fn sizes_and_reasons_are_shown_instead() {
    let outcome = Outcome::Value(Bytes::from_static(b"12345"));
    assert_eq!(format!("{outcome:?}"), "Value(5 bytes)");
    let outcome = Outcome::Unavailable(UnavailableReason::Streamed);
    assert_eq!(format!("{outcome:?}"), "Unavailable(Streamed)");
    let checkpoint = Checkpoint::new(3, Bytes::from_static(b"12345"));
    assert_eq!(format!("{checkpoint:?}"), "Checkpoint(step 3, 5 bytes)");
}

/// The remaining public types have a `Debug` with the words of the documentation.
#[test]
fn values_without_secrets_show_what_they_are() {
    let manual = ManualClock::new(Timestamp::from_micros(5));
    let shown = [
        (show(&Effect::Lost(LostReason::Superseded)), "Superseded"),
        (show(&Capabilities::default()), "strict_sequence"),
        (show(&Expired::default()), "removed"),
        (show(&Policy::new(Duration::from_secs(1), Duration::from_secs(2))), "retention"),
        (show(&Waiters::new()), "Waiters"),
        (show(&manual), "ManualClock"),
        (show(&StoreClock::start(SystemClock::shared())), "StoreClock"),
        (show(&Sent::now(&SystemClock::shared())), "Sent"),
        (show(&error()), "Timeout"),
        (show(&ErrorKind::Corrupt), "Corrupt"),
        #[cfg(feature = "config")]
        (show(&idem_core::Registry::new()), "Registry"),
    ];
    for (shown, word) in shown {
        assert!(shown.contains(word), "{shown}");
    }
}

#[test]
fn every_kind_operation_and_reason_has_words_of_its_own() {
    let kinds = [
        ErrorKind::InvalidKey,
        ErrorKind::InvalidArgument,
        ErrorKind::InvalidConfig,
        ErrorKind::Corrupt,
        ErrorKind::Incompatible,
        ErrorKind::Full,
        ErrorKind::TooLarge,
        ErrorKind::Timeout,
        ErrorKind::Unavailable,
        ErrorKind::Closed,
    ];
    assert_distinct(&kinds.map(|kind| kind.to_string()));
    let transient = kinds.into_iter().filter(|kind| kind.is_transient()).collect::<Vec<_>>();
    assert_eq!(transient, [ErrorKind::Timeout, ErrorKind::Unavailable]);
    let reasons = [
        UnavailableReason::TooLarge,
        UnavailableReason::Streamed,
        UnavailableReason::Upgraded,
        UnavailableReason::Panicked,
        UnavailableReason::NotEncodable,
        UnavailableReason::Other,
    ];
    assert_distinct(&reasons.map(|reason| reason.to_string()));
    let operations = [
        Operation::Build,
        Operation::Configure,
        Operation::Open,
        Operation::Lock,
        Operation::Renew,
        Operation::Checkpoint,
        Operation::Complete,
        Operation::Release,
        Operation::Get,
        Operation::Settled,
        Operation::Remove,
        Operation::Expire,
        Operation::Typed,
        Operation::Maintain,
        Operation::Close,
    ];
    assert_distinct(&operations.map(|operation| operation.to_string()));
}

fn assert_distinct(words: &[String]) {
    let distinct: std::collections::HashSet<_> = words.iter().collect();
    assert_eq!(distinct.len(), words.len(), "{words:?}");
    assert!(words.iter().all(|word| !word.is_empty()));
}

#[test]
fn error_keeps_its_kind_operation_message_and_source() {
    let io = std::io::Error::new(std::io::ErrorKind::StorageFull, "no space");
    let error = Error::new(ErrorKind::Full, Operation::Complete, "the disk is full").with_source(io);
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Full, Operation::Complete));
    assert_eq!(error.message(), "the disk is full");
    // `Display` does not repeat the source, or a printed chain of errors would show it twice.
    assert_eq!(error.to_string(), "complete: store full: the disk is full");
    let source = std::error::Error::source(&error).unwrap();
    let io: &std::io::Error = source.downcast_ref().unwrap();
    assert_eq!(io.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(error.during(Operation::Close).operation(), Operation::Close);
}

#[test]
fn record_shows_its_state_without_its_bytes() {
    let call = Call::Lock {
        fingerprint: Fingerprint::builder("t").finish(),
        claim: Claim {
            owner: Owner::from_bytes([1; 16]),
            lease: Duration::from_secs(1),
            retention: Duration::from_secs(2),
        },
        min_sequence: 0,
    };
    let decision = decide(None, call, Timestamp::from_micros(10));
    let Change::Put(record) = decision.change else { panic!("{:?}", decision.answer) };
    let Record { state: State::Locked(_), .. } = &record else { panic!("{record:?}") };
    assert!(show(&record).contains("Locked"));
    assert_eq!((record.outcome(), record.checkpoint()), (None, None));
    assert_eq!(record.lease_remaining(), Some(Duration::from_secs(1)));
}
