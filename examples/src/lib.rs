//! Runs the code of the project's pages as documentation tests. The examples themselves are in `examples/`.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
