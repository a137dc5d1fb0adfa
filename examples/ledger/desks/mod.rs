//! The desks at which payments are booked: with idem, and without it.

pub(crate) mod idempotent;
pub(crate) mod naive;
