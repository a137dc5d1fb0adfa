//! What authors of stores need, and applications do not.
//!
//! A store tells the [`Lease`](crate::Lease) of a holder how its calls were answered:
//!
//! ```
//! use idem_core::backend::LeaseControl;
//! use idem_core::decide::Call;
//! use idem_core::{Fenced, Lease, Sent};
//!
//! fn tell(lease: &Lease, call: &Call, fenced: Fenced, wrote: bool, sent: &Sent) -> Fenced {
//!     lease.answered(call, fenced, wrote, sent);
//!     fenced
//! }
//! ```

pub use crate::lease::LeaseControl;
