//! The configuration, and which servers and settings are refused.

mod bad_server;
mod configured;
mod secret_in_refusal;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_refused;
mod wrong_server;
