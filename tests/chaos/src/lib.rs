//! Nothing but tests: see `tests/chaos/`.
