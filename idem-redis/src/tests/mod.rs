//! Tests that span several modules of the crate.

mod fuzz;
mod provoked;
