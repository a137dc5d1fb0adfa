//! The rules of `decide`: a test for each row of its two tables, then the invariants under random calls.

mod edges;
mod holder;
mod invariants;
mod lock;
mod remove;
mod steps;
mod support;
