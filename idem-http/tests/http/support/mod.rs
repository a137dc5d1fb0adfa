//! What the tests share: an application to ask, sockets to ask it through, a store that fails on demand.

mod app;
mod body;
mod faulty;
mod net;

pub(crate) use app::{
    App, Calls, Gate, Reply, ask, bare_layer, now, post, problem_code, shared_scope, until,
};
pub(crate) use body::{channel, channel_of, frames, repeated};
pub(crate) use faulty::{Fault, FaultyStore};
pub(crate) use net::{Client, Server};
