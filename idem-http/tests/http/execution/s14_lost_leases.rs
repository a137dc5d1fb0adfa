//! A slow handler keeps its lease; one that lost it never shows a second result.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use idem_core::clock::{ManualClock, Timestamp};
use idem_http::{IdempotencyLayerBuilder, WhenInFlight};
use idem_moka::{MokaConfig, MokaStore};

use crate::support::{App, Calls, Gate, post, problem_code};

const LEASE: Duration = Duration::from_secs(30);

struct Slow {
    app: App,
    clock: ManualClock,
    calls: Calls,
    /// Where the first and the second attempt wait.
    gates: [Gate; 2],
}

fn slow(options: impl FnOnce(IdempotencyLayerBuilder) -> IdempotencyLayerBuilder) -> Slow {
    let clock = ManualClock::new(Timestamp::from_micros(1_000_000_000));
    let store = MokaStore::with_clock(MokaConfig::default(), Arc::new(clock.clone())).unwrap();
    let (calls, gates) = (Calls::default(), [Gate::new(), Gate::new()]);
    let (counted, held) = (calls.clone(), gates.clone());
    let handler = move || async move {
        let call = counted.add();
        held[call - 1].pass().await;
        format!("answer {call}")
    };
    let app = App::over(Arc::new(store), handler, |builder| options(builder.lease(LEASE)));
    Slow { app, clock, calls, gates }
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_keeps_its_lease_while_it_runs() {
    let Slow { app, clock, calls, gates: [gate, _] } = slow(|builder| builder);
    let (first, ()) = tokio::join!(app.ask(post("k", "")), async {
        gate.entered().await;
        for _ in 0..6 {
            // Renewals come every third of a lease; store time follows.
            tokio::time::sleep(LEASE / 3).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            clock.advance(LEASE / 3);
            assert_eq!(problem_code(&app.ask(post("k", "")).await), "in_flight");
        }
        gate.open();
    });
    assert_eq!(first.text(), "answer 1");
    assert!(app.ask(post("k", "")).await.is_replayed());
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn a_handler_that_lost_its_lease_answers_with_the_winners_result() {
    let Slow { app, clock, calls, gates: [first_gate, second_gate] } = slow(|builder| builder);
    let (first, second) = tokio::join!(app.ask(post("k", "")), async {
        first_gate.entered().await;
        clock.advance(LEASE + Duration::from_secs(1));
        second_gate.open();
        let second = app.ask(post("k", "")).await;
        first_gate.open();
        second
    });
    assert_eq!((second.text(), second.is_replayed()), ("answer 2", false));
    assert_eq!((first.text(), first.is_replayed()), ("answer 2", true));
    assert_eq!(calls.count(), 2);
}

#[tokio::test]
async fn a_handler_that_lost_its_lease_to_a_running_one_answers_409() {
    let Slow { app, clock, gates: [first_gate, second_gate], .. } = slow(|builder| builder);
    let second = async {
        first_gate.entered().await;
        clock.advance(LEASE + Duration::from_secs(1));
        app.ask(post("k", "")).await
    };
    let first = async {
        let reply = app.ask(post("k", "")).await;
        second_gate.open();
        reply
    };
    let between = async {
        second_gate.entered().await;
        first_gate.open();
    };
    let (first, second, ()) = tokio::join!(first, second, between);
    assert_eq!((first.status, problem_code(&first).as_str()), (StatusCode::CONFLICT, "in_flight"));
    assert_eq!(first.retry_after(), Some(1));
    assert_eq!(second.text(), "answer 2");
}

#[tokio::test]
async fn a_handler_that_lost_its_lease_waits_for_the_winner_when_the_policy_says_so() {
    let wait = WhenInFlight::Wait(Duration::from_mins(1));
    let Slow { app, clock, gates: [first_gate, second_gate], .. } =
        slow(|builder| builder.when_in_flight(wait));
    let second = async {
        first_gate.entered().await;
        clock.advance(LEASE + Duration::from_secs(1));
        app.ask(post("k", "")).await
    };
    let between = async {
        second_gate.entered().await;
        first_gate.open();
        // Whether the first asks before or after the second is done, it gets the second's answer.
        tokio::task::yield_now().await;
        second_gate.open();
    };
    let (first, second, ()) = tokio::join!(app.ask(post("k", "")), second, between);
    assert_eq!((first.text(), second.text()), ("answer 2", "answer 2"));
    assert!(first.is_replayed());
}
