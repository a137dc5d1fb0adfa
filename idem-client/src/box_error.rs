//! The type of errors of other crates and of the application.

/// An error of any kind.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
