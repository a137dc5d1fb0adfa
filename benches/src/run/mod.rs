//! Rounds of idem and of the bare backend, and the figures of both.

pub(crate) mod chart;
pub(crate) mod drive;
pub(crate) mod figure;
pub(crate) mod row;
pub(crate) mod session;
pub(crate) mod side;
pub(crate) mod suite;
pub(crate) mod sweep;
pub(crate) mod whole;
