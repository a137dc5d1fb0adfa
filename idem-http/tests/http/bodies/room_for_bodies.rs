//! Which bodies find room.

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::accounts::Accounts;
use crate::support::{App, HUNDRED, channel_of, frames, post, until};

#[tokio::test]
async fn one_account_leaves_room_to_the_others_even_if_one_body_may_take_all() {
    // One body may take all the room that there is.
    let accounts = Accounts::new(10_000, 10_000);
    let layer = &accounts.layer;
    let mut half_sent = Vec::new();
    for key in 0..100 {
        let (body, sender) = channel_of(SizeHint::with_exact(200));
        let asked = accounts.ask("flood", &key.to_string(), body);
        sender.send(HUNDRED);
        half_sent.push((asked, sender));
        let len = half_sent.len();
        until(|| layer.bodies_bytes() == len * 100 || half_sent[len - 1].0.is_finished()).await;
    }
    let served = accounts.others_served().await;
    assert!(served >= 6, "{served} of 8 while one account holds {}", layer.bodies_bytes());
}

#[tokio::test]
async fn a_body_that_fits_is_accepted_even_without_room_to_double_its_buffer() {
    let app = App::with(
        |body: Bytes| async move { body.len().to_string() },
        |b| b.max_body(100).max_bodies_bytes(100),
    );
    let (body, sender) = channel_of(SizeHint::with_exact(20));
    let router = app.router.clone();
    let other = tokio::spawn(async move { crate::support::ask(&router, post("other", body)).await });
    sender.send("0123456789");
    until(|| app.layer.bodies_bytes() >= 10).await;
    // 60 bytes of the 90 that are free, without a length known in advance.
    let pieces = [50, 10].map(|len| Frame::data(Bytes::from(vec![b'x'; len])));
    let answer = app.ask(post("k", frames(pieces))).await;
    assert_eq!(answer.text(), "60");
    drop((other, sender));
}
