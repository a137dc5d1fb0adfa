//! Connections by TLS.

mod certificates;
mod connections;
mod password;
mod relay;
mod secured;
