//! What must hold a write, as an application may choose it.

/// How many replicas must hold a write before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acks {
    /// All that a master has or had: those that had caught up with it when the store was opened, and those that
    /// appeared since, as of the last [`check_interval`](crate::RedisConfig::check_interval); in a cluster those of its shard.
    /// Never lowered because one is gone: with a replica down, writes time out. A store is not opened where there is none
    /// to wait for.
    All,
    /// [`All`](Acks::All), and both the master and those replicas have it on their disks, or the master alone where that is
    /// one server that never had any: also a machine that loses its power forgets nothing that was acknowledged. Every
    /// server needs `appendonly yes`, and Redis 7.2 or later, or Valkey (`WAITAOF`). With `appendfsync always` it takes as long as a disk;
    /// with `everysec` up to a second and more, which [`ack_timeout`](crate::RedisConfig::ack_timeout) must allow for.
    Disk,
    /// This many. With 0 a failover forgets what it had not replicated: two holders, lost outcomes.
    Count(u8),
}
