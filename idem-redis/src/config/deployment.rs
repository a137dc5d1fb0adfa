//! Which kinds of deployments there are.

/// What the servers are to one another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deployment {
    /// One server, with or without replicas.
    Standalone,
    /// Redis Cluster.
    Cluster,
    /// A master that sentinels watch and name.
    Sentinel {
        /// What the sentinels call the master.
        master_name: String,
    },
}
