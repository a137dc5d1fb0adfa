//! Clusters of Redis, and the network between them and their callers.

pub(crate) mod cluster;
pub(crate) mod divide;
pub(crate) mod netns;
pub(crate) mod proxy;
