//! Nothing but the program in `main.rs`, and its test.
