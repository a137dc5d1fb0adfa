//! The configuration, and which servers and settings are refused.

mod bad_server;
mod configured;
mod secret_in_refusal;
#[cfg(feature = "tls")]
mod secured;
#[cfg(feature = "tls")]
mod tls;
mod wrong_server;
