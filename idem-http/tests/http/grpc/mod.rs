//! gRPC over real sockets: servers in processes of their own, and third-party clients.

mod frames;
mod grpcio;
mod pay;
mod plain;
mod process;
mod two_servers;

pub(crate) use pay::{PAY, call, layer, talk};
pub(crate) use plain::Plain;
