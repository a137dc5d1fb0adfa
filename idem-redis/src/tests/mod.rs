//! Tests across several modules of the crate.

mod fuzz;
mod provoked;
