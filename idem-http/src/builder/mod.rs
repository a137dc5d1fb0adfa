//! Building a layer: the options, and what they must satisfy.

mod build;
mod execution;
pub(crate) mod layer_builder;
mod request;
mod response;
mod unbuilt;
