//! The kinds of deployments.

/// How the servers are deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deployment {
    /// One server, with or without replicas.
    Standalone,
    /// Redis Cluster.
    Cluster,
    /// A master that sentinels monitor and name.
    Sentinel {
        /// The name by which the sentinels know the master.
        master_name: String,
    },
}
