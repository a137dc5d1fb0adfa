//! What a worker does throughout a round: lock keys, hold them, complete or release them, and resend calls whose effect
//! is unknown.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use idem_core::{Claim, Lease};
use idem_servers::redis::slot;
use tokio::time::sleep;

use crate::callers::caller::{Caller, new_owner};
use crate::judge::history::{Answer, Micros, now};
use crate::rng::Rng;

/// How often a call is sent while its effect is unknown.
const TRIES: u32 = 4;
/// Longer than any round.
pub(crate) const RETENTION: Duration = Duration::from_mins(5);
/// Keys divisible by this have a short retention: they expire within a round, and are used again.
const SHORT_LIVED: u32 = 8;
/// New keys a second.
const NEW_KEYS: u64 = 120;
/// A holder with a longer lease does not sleep past it, since the round would be over first.
const LONGEST_SLEEP: Duration = Duration::from_secs(2);
/// How many of the latest keys count as new.
const NEW: u64 = 40;

/// What the workers of a round share.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    /// When the round began: the keys in use follow from the time since.
    pub(crate) begun: Micros,
    pub(crate) stop: Arc<AtomicBool>,
    /// Percentage of holders that sleep past their lease.
    pub(crate) sleepers: u64,
    /// The workers use only keys in these slots; any keys if `None`.
    pub(crate) slots: Option<RangeInclusive<u16>>,
}

impl Round {
    pub(crate) fn new() -> Self {
        Self { begun: now(), stop: Arc::default(), sleepers: 5, slots: None }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// How many keys have been in use until now.
    pub(crate) fn keys(&self) -> u32 {
        u32::try_from((now() - self.begun) * NEW_KEYS / 1_000_000 + NEW).unwrap()
    }

    /// Mostly one of the new keys, else any key.
    fn key(&self, rng: &mut Rng) -> u32 {
        let keys = u64::from(self.keys());
        let key = if rng.percent(60) { keys - 1 - rng.below(NEW) } else { rng.below(keys) };
        u32::try_from(key).unwrap()
    }
}

/// Works until the round is over.
pub(crate) async fn work(caller: Caller, round: Round, mut rng: Rng) {
    let mut worker = Worker { caller, rng: Rng::new(rng.next()), round };
    while !worker.round.is_over() {
        worker.one_key().await;
        sleep(Duration::from_micros(rng.below(6_000))).await;
    }
}

struct Worker {
    caller: Caller,
    round: Round,
    rng: Rng,
}

impl Worker {
    async fn one_key(&mut self) {
        let key = self.key();
        if self.rng.percent(15) {
            self.caller.get(key).await;
            return;
        }
        let fingerprint = u8::from(self.rng.percent(5));
        let claim = self.claim(key);
        let Some(lease) = self.lock(key, fingerprint, &claim).await else {
            if self.rng.percent(5) {
                self.caller.settled(key, Duration::from_millis(self.rng.below(300))).await;
            }
            return;
        };
        if self.rng.percent(5) {
            // Resends the same `lock`.
            self.caller.lock(key, fingerprint, &claim, None).await;
        }
        if lease.remaining() < LONGEST_SLEEP && self.rng.percent(self.round.sleepers) {
            sleep(lease.remaining() + Duration::from_millis(self.rng.below(300))).await;
        }
        let mut step = lease.checkpoint().map_or(0, |saved| saved.step);
        for _ in 0..self.rng.below(3) {
            match self.rng.below(3) {
                0 => drop(self.caller.renew(key, &lease, claim.lease).await),
                1 => {
                    step += 1;
                    self.caller.checkpoint(key, &lease, step, claim.lease).await;
                }
                _ => sleep(Duration::from_millis(self.rng.below(40))).await,
            }
        }
        self.end(key, &lease, &claim).await;
    }

    fn key(&mut self) -> u32 {
        loop {
            let key = self.round.key(&mut self.rng);
            let Some(slots) = &self.round.slots else { return key };
            if slots.contains(&slot(self.caller.redis_key(key).as_bytes())) {
                return key;
            }
        }
    }

    fn claim(&mut self, key: u32) -> Claim {
        let (lease, retention) = if key.is_multiple_of(SHORT_LIVED) {
            (Duration::from_millis(300), Duration::from_millis(700 + self.rng.below(600)))
        } else {
            (Duration::from_millis(self.rng.pick(&[250, 1_500, 8_000])), RETENTION)
        };
        Claim { owner: new_owner(), lease, retention }
    }

    async fn lock(&mut self, key: u32, fingerprint: u8, claim: &Claim) -> Option<Lease> {
        for _ in 0..TRIES {
            let cancel_after = self.cancel_after();
            let (lease, answer) = self.caller.lock(key, fingerprint, claim, cancel_after).await;
            if answer != Answer::Unknown {
                return lease;
            }
            if self.round.is_over() {
                break;
            }
        }
        None
    }

    async fn end(&mut self, key: u32, lease: &Lease, claim: &Claim) {
        match self.rng.below(10) {
            // Abandoned: another worker takes over when the lease is over.
            0 => {}
            1 | 2 => {
                for _ in 0..TRIES {
                    let cancel_after = self.cancel_after();
                    if self.caller.release(key, lease, cancel_after).await != Answer::Unknown {
                        return;
                    }
                }
            }
            _ => self.complete(key, lease, claim).await,
        }
    }

    async fn complete(&mut self, key: u32, lease: &Lease, claim: &Claim) {
        let value = self.value();
        for _ in 0..TRIES {
            let cancel_after = self.cancel_after();
            match self.caller.complete(key, lease, value.clone(), claim.retention, cancel_after).await {
                // A disk that was full may have room again.
                Answer::Unknown | Answer::Full => {}
                Answer::Applied { .. } if self.rng.percent(10) => {
                    // A completed key ignores a second completion with other bytes.
                    let other = self.value();
                    self.caller.complete(key, lease, other, claim.retention, None).await;
                    return;
                }
                _ => return,
            }
        }
    }

    fn value(&mut self) -> Bytes {
        let length = usize::try_from(16 + self.rng.below(1_000)).unwrap();
        let mut value = format!("{:016x}", self.rng.next()).into_bytes();
        value.resize(length, b'.');
        value.into()
    }

    /// After how long a call is cancelled, for the few calls that are.
    fn cancel_after(&mut self) -> Option<Duration> {
        self.rng.percent(2).then(|| Duration::from_micros(self.rng.below(3_000)))
    }
}
