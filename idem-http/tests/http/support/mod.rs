//! What the tests share: an application to send requests to, sockets to send them through, and a store that fails on
//! demand.

mod app;
mod body;
mod faulty;
mod net;

pub(crate) use app::{
    App, Calls, Gate, Reply, ask, bare_layer, builder, now, post, problem_code, shared_scope, until,
};
pub(crate) use body::{HUNDRED, channel, channel_of, frames, repeated};
pub(crate) use faulty::{Fault, FaultyStore};
pub(crate) use net::{Client, Server};
