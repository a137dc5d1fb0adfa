//! When the time limit of a body starts to count, and that nothing can extend it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, advance, timeout};
use tower::ServiceExt;

use crate::support::{App, channel_of, post};

const TIME: Duration = Duration::from_secs(30);

fn app() -> App {
    App::with(|body: Bytes| async move { body }, |builder| builder.body_timeout(TIME))
}

/// A body without an end: the function makes its next piece, or none for now.
struct Endless(fn(&mut Context<'_>) -> Option<&'static str>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match (self.0)(cx) {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece.as_bytes()))))),
            None => Poll::Pending,
        }
    }
}

/// As on a connection that is busy elsewhere, or under a server that polls a limited number of requests at a time.
#[tokio::test(start_paused = true)]
async fn the_time_of_a_body_counts_from_the_first_poll_even_if_the_second_comes_late() {
    let app = app();
    let (body, sender) = channel_of(SizeHint::with_exact(1_000));
    sender.send("0123456789");
    let mut asked = pin!(app.router.clone().oneshot(post("k", body)));
    poll_fn(|cx| {
        assert!(asked.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    assert_eq!(app.layer.bodies_bytes(), 10);
    advance(TIME * 2).await;
    let before = Instant::now();
    let answer = timeout(TIME * 10, asked).await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    assert!(before.elapsed() < TIME / 2, "held for {:?} more", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_wakes_or_always_wakes_meets_its_time_limit() {
    let endless: [fn(&mut Context<'_>) -> Option<&'static str>; 2] = [
        |_| None,
        |cx| {
            cx.waker().wake_by_ref();
            None
        },
    ];
    for next in endless {
        let app = app();
        let ask = async {
            let asked = app.router.clone().oneshot(post("k", Body::new(Endless(next))));
            // The paused clock advances by itself only when nothing is left to do.
            let clock = async {
                loop {
                    advance(Duration::from_secs(1)).await;
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! { answer = asked => answer.unwrap(), () = clock => unreachable!() }
        };
        let begun = Instant::now();
        let answer = timeout(TIME * 4, ask).await.unwrap();
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
        assert!(begun.elapsed() >= TIME, "{:?}", begun.elapsed());
    }
}

/// As under an executor that polls at intervals and ignores wakers.
#[tokio::test(start_paused = true)]
async fn a_body_that_is_polled_without_a_waker_meets_its_time_limit() {
    let app = app();
    let mut asked = pin!(app.router.clone().oneshot(post("k", Body::new(Endless(|_| None)))));
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..TIME.as_secs() + 2 {
        if let Poll::Ready(answer) = asked.as_mut().poll(&mut cx) {
            assert_eq!(answer.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
            return;
        }
        advance(Duration::from_secs(1)).await;
    }
    panic!("the body met no time limit");
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_a_late_body_are_given_back_to_the_bound_and_to_its_scope() {
    let app = app();
    for _ in 0..3 {
        let (body, sender) = channel_of(SizeHint::with_exact(1_000));
        sender.send("0123456789");
        let answer = app.ask(post("k", body)).await;
        assert_eq!((answer.status, app.layer.bodies_bytes()), (StatusCode::REQUEST_TIMEOUT, 0));
    }
}
