//! What authors of stores need, and applications do not.
//!
//! [`decide`] says what a call does to a record. A store's task is to carry that out as one atomic step over its
//! storage. [`Transition`] is that step, and [`store_from_transition!`](store_from_transition) makes a
//! [`Store`](crate::Store) from it. A store that does more in one step implements the calls itself, and tells the
//! holder's [`Lease`](crate::Lease) how they were answered ([`LeaseControl`]).

mod answers;
pub mod codec;
mod decide;
mod lease_control;
pub mod limits;
mod store_clock;
mod store_macro;
#[doc(hidden)]
pub mod transition;
mod waiters;

/// The attribute that an `impl Store` needs.
pub use async_trait::async_trait;

pub use crate::claim::Grant;
pub use crate::lease::Sent;
pub use decide::{Answer, Call, Change, Decision, decide, replay};
pub use lease_control::LeaseControl;
pub use store_clock::{ClockMark, StoreClock};
pub use transition::{Applied, Transition};
pub use waiters::Waiters;

#[doc(inline)]
pub use crate::__store_from_transition as store_from_transition;
