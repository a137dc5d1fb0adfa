//! Booking without idem: each request becomes a payment.

pub(crate) mod postgres;
pub(crate) mod redb;
