//! Tests that take several rooms of the crate together.

mod fuzz;
mod provoked;
