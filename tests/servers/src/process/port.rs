//! Free ports.

use std::hash::{BuildHasher as _, RandomState};
use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener};
use std::ops::Range;

/// These and their bus ports are below the range for outgoing connections (from 32768 on Linux).
const PORTS: Range<u16> = 10_000..22_000;
/// How far above its port a member of a cluster listens for other members.
const BUS: u16 = 10_000;
const TRIES: u16 = 1_000;

/// A port that is free at this moment, as is its port for a cluster's bus. Another process may take it first, so the
/// caller must be ready to choose again.
pub(crate) fn free(host: IpAddr) -> u16 {
    (0..TRIES)
        .map(|attempt| PORTS.start + random(attempt) % (PORTS.end - PORTS.start))
        .find(|port| is_free(host, *port) && is_free(host, port + BUS))
        .unwrap_or_else(|| panic!("no free port in {PORTS:?} on {host}"))
}

/// An address in another network namespace cannot be bound from here, so it counts as free.
fn is_free(host: IpAddr, port: u16) -> bool {
    match TcpListener::bind((host, port)) {
        Ok(_) => true,
        Err(error) => error.kind() != ErrorKind::AddrInUse,
    }
}

fn random(attempt: u16) -> u16 {
    let [.., high, low] = RandomState::new().hash_one((std::process::id(), attempt)).to_be_bytes();
    u16::from_be_bytes([high, low])
}
