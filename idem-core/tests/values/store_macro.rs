//! `store_from_transition!` where a user's crate may use it: with names of its own, and for a generic type.

use std::fmt::Debug;
use std::time::Duration;

use idem_core::backend::{Applied, Call, Sent, StoreClock, Transition, decide, store_from_transition};
use idem_core::clock::SystemClock;
use idem_core::record::Record;
use idem_core::{Capabilities, Claim, Expired, Fingerprint, Key, LockAnswer, Owner, Result, Scope, Store};

/// Keeps nothing, whatever it is asked.
#[derive(Debug)]
struct Forgetful {
    clock: StoreClock,
}

impl Forgetful {
    fn new() -> Self {
        Self { clock: StoreClock::start(SystemClock::shared()) }
    }

    fn applied(&self, call: Call) -> Applied {
        Applied { answer: decide(None, call, self.clock.now()).answer, wrote: false }
    }
}

macro_rules! forgetful_transition {
    () => {
        async fn apply(&self, _key: &Key, call: Call, _sent: &Sent) -> Result<Applied> {
            Result::Ok(self.0.applied(call))
        }

        async fn get(&self, _key: &Key) -> Result<Option<Record>> {
            Result::Ok(None)
        }

        async fn expire(&self, _budget: usize) -> Result<Expired> {
            Result::Ok(Expired { removed: 0, more: false })
        }

        fn sent(&self, _key: &Key) -> Sent {
            Sent::now(self.0.clock.source())
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities::none()
        }
    };
}

/// Every name that the macro could mean without saying whose it is.
#[no_implicit_prelude]
#[expect(dead_code, reason = "they only have to be there")]
mod with_names_of_its_own {
    use ::idem_core::backend::store_from_transition;

    struct Box;
    struct Pin;
    struct Option;
    struct Result;
    struct Some;
    struct Ok;
    struct Duration;
    struct Key;
    struct Lease;
    trait Any {}
    trait Future {}
    trait Send {}
    trait Sync {}
    trait Store {}
    trait Transition {}

    #[derive(::std::fmt::Debug)]
    pub(super) struct Named(pub(super) super::Forgetful);

    store_from_transition!(Named);
}

impl Transition for with_names_of_its_own::Named {
    forgetful_transition!();
}

#[derive(Debug)]
struct Generic<P, const N: usize>(Forgetful, [P; N]);

impl<P: Debug + Send + Sync + 'static, const N: usize> Transition for Generic<P, N> {
    forgetful_transition!();
}

store_from_transition!(Generic<P, N>, P: Debug + Send + Sync + 'static, const N: usize);

#[tokio::test]
async fn module_with_names_of_its_own_gets_a_store() {
    assert!(is_acquired(&with_names_of_its_own::Named(Forgetful::new())).await);
}

#[tokio::test]
async fn generic_type_gets_a_store() {
    assert!(is_acquired(&Generic(Forgetful::new(), ["a", "b"])).await);
}

async fn is_acquired(store: &dyn Store) -> bool {
    let key = Key::new(&Scope::shared(), "order-1").unwrap();
    let claim = Claim {
        owner: Owner::random().unwrap(),
        lease: Duration::from_secs(30),
        retention: Duration::from_mins(1),
    };
    let order = Fingerprint::builder("orders v1").finish();
    matches!(store.lock(&key, &order, &claim).await.unwrap(), LockAnswer::Acquired(_))
}
