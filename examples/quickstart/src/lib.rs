//! Empty: this package is the program in `main.rs` and its test.
