//! What clients get, and what is kept for their retries.

mod retention;
mod s03_answers;
mod s04_problems;
mod s06_replays;
mod s10_headers;
mod s11_verdicts;
mod unrouted;
