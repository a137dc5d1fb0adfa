//! The rows of the table that `complete`, `renew`, `checkpoint` and `release` share. The file of each call lists every
//! row, and this file implements each row once.

use bytes::Bytes;
use idem_core::record::{Record, State};
use idem_core::{Effect, Key, Lease, LostReason, Outcome, Token};

use crate::trial::{ExpectEffect, LEASE, Trial, owner, value};

/// A call that only a holder may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Renew,
    Checkpoint,
    Complete,
    Release,
}

impl Call {
    pub(crate) const ALL: [Self; 4] = [Self::Renew, Self::Checkpoint, Self::Complete, Self::Release];

    pub(crate) async fn send(self, t: &Trial, lease: &Lease) -> Effect {
        match self {
            Self::Renew => t.renew(lease, LEASE * 2).await,
            Self::Checkpoint => t.checkpoint(lease, 100, b"from this call").await,
            Self::Complete => t.complete(lease, value(b"from this call")).await,
            Self::Release => t.release(lease).await,
        }
    }

    /// Asserts that the call had its effect on the record.
    async fn assert_effect(self, t: &Trial, key: &Key) {
        let record = t.get(key).await;
        match self {
            Self::Renew => {
                let remaining = record.and_then(|record| record.lease_remaining());
                t.assert_time(remaining.unwrap_or_default(), t.ticks(LEASE * 2));
            }
            Self::Checkpoint => {
                let step = record.as_ref().and_then(Record::checkpoint).map(|checkpoint| checkpoint.step);
                assert_eq!(step, Some(100), "{record:?}");
            }
            Self::Complete => {
                let outcome = record.as_ref().and_then(Record::outcome);
                assert_eq!(outcome, Some(&Outcome::Value(Bytes::from_static(b"from this call"))));
            }
            Self::Release => assert!(record.is_none(), "{record:?}"),
        }
    }

    async fn assert_lost(self, t: &Trial, lease: &Lease, reason: LostReason) {
        let before = t.get(lease.key()).await;
        self.send(t, lease).await.expect_lost(reason);
        t.assert_unchanged(lease.key(), before.as_ref()).await;
    }
}

pub(crate) async fn live(t: Trial, call: Call) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    call.send(&t, &lease).await.expect_applied();
    call.assert_effect(&t, &key).await;
}

pub(crate) async fn over(t: Trial, call: Call) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.outlast_lease().await;
    call.send(&t, &lease).await.expect_applied();
    call.assert_effect(&t, &key).await;
}

pub(crate) async fn taken_over(t: Trial, call: Call) {
    let key = t.key("order");
    let first = t.acquire(&key).await;
    let second = t.take_over(&key).await;
    call.assert_lost(&t, &first, LostReason::Superseded).await;
    t.outlast_lease().await;
    call.assert_lost(&t, &first, LostReason::Superseded).await;
    t.complete(&second, value(b"done")).await.expect_applied();
}

pub(crate) async fn other_owner(t: Trial, call: Call) {
    let lease = t.acquire(&t.key("order")).await;
    let token = Token { owner: owner(), ..lease.token() };
    call.assert_lost(&t, &t.lease_with(&lease, token), LostReason::Superseded).await;
}

pub(crate) async fn other_sequence(t: Trial, call: Call) {
    let lease = t.acquire(&t.key("order")).await;
    let token = lease.token();
    for sequence in [token.sequence.wrapping_sub(1), token.sequence + 1] {
        let token = Token { sequence, ..token };
        call.assert_lost(&t, &t.lease_with(&lease, token), LostReason::Superseded).await;
    }
}

pub(crate) async fn own_completion(t: Trial, call: Call) {
    let lease = t.acquire(&t.key("order")).await;
    t.complete(&lease, value(b"first")).await.expect_applied();
    if call == Call::Complete {
        let before = t.get(lease.key()).await;
        call.send(&t, &lease).await.expect_applied();
        t.assert_unchanged(lease.key(), before.as_ref()).await;
    } else {
        call.assert_lost(&t, &lease, LostReason::Completed).await;
    }
}

pub(crate) async fn completion_of_another(t: Trial, call: Call) {
    let key = t.key("order");
    let first = t.acquire(&key).await;
    let second = t.take_over(&key).await;
    t.complete(&second, value(b"of the second")).await.expect_applied();
    call.assert_lost(&t, &first, LostReason::Superseded).await;
}

pub(crate) async fn own_release(t: Trial, call: Call) {
    let lease = t.acquire(&t.key("order")).await;
    t.checkpoint(&lease, 1, b"half way").await.expect_applied();
    t.release(&lease).await.expect_applied();
    let record = t.record(lease.key()).await;
    assert!(matches!(&record.state, State::Locked(locked) if !locked.held), "{record:?}");
    call.assert_lost(&t, &lease, LostReason::Released).await;
}

pub(crate) async fn release_of_another(t: Trial, call: Call) {
    let key = t.key("order");
    let first = t.acquire(&key).await;
    let second = t.take_over(&key).await;
    t.checkpoint(&second, 1, b"half way").await.expect_applied();
    t.release(&second).await.expect_applied();
    call.assert_lost(&t, &first, LostReason::Superseded).await;
}

pub(crate) async fn removed(t: Trial, call: Call) {
    let lease = t.acquire(&t.key("order")).await;
    assert!(t.remove(lease.key(), true).await);
    call.assert_lost(&t, &lease, LostReason::Gone).await;
}

pub(crate) async fn forgotten(t: Trial, call: Call) {
    let (locked, completed) = (t.acquire(&t.key("locked")).await, t.acquire(&t.key("completed")).await);
    t.complete(&completed, value(b"done")).await.expect_applied();
    t.outlast_record().await;
    call.assert_lost(&t, &locked, LostReason::Gone).await;
    call.assert_lost(&t, &completed, LostReason::Gone).await;
}
