//! Choosing a backend by configuration: by a URI, or by a table in a configuration file.

mod driver;
mod mask;
mod options;
mod registry;
pub mod servers;
mod store_config;
pub mod units;

pub use driver::{Driver, Opening};
pub use mask::masked;
pub use options::{Options, set};
pub use registry::Registry;
pub use store_config::StoreConfig;
