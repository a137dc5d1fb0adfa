/// Any error that stops a benchmark: it is printed, and the process fails.
pub type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;
