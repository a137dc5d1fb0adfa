//! The rules of the one transition: each row of the two tables a test, then what must hold whatever is called.

mod edges;
mod holder;
mod invariants;
mod lock;
mod remove;
mod steps;
mod support;
