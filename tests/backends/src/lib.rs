//! This package contains only tests: see `tests/`.
