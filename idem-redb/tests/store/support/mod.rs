//! What the tests of this binary share.

pub(crate) mod call;
pub(crate) mod disk;
pub(crate) mod history;
mod image;
pub(crate) mod judge;
pub(crate) mod process;
pub(crate) mod rng;
pub(crate) mod settle;
mod storage;
pub(crate) mod workload;
