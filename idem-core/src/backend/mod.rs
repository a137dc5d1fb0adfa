//! What authors of stores need, and applications do not.
//!
//! A store makes one thing atomic: [`decide`] says what a call does to a record, and the store carries it out as one
//! step over its storage. [`Transition`] is that step, and [`store_from_transition!`](store_from_transition) makes a
//! [`Store`](crate::Store) of it. A store that does more in one step than that writes the calls itself, and tells the
//! [`Lease`](crate::Lease) of a holder how they were answered ([`LeaseControl`]).

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

/// What a store's methods are written with.
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
