//! How many replicas must acknowledge a write, as an application chooses it.

/// How many replicas must hold a write before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acks {
    /// All replicas that a master has or had: those that had caught up with it when the store was opened, and those that
    /// appeared since, as of the last [`check_interval`](crate::RedisConfig::check_interval). In a cluster, all replicas of
    /// the master's shard. The number is never lowered because a replica is gone: with a replica down, writes time out. A
    /// store does not open where there is no replica to wait for.
    All,
    /// As [`All`](Acks::All), and the write is on the disks of both the master and those replicas, or of the master alone
    /// where it is a single server that never had a replica. Then even a power failure forgets nothing that was
    /// acknowledged. Every server needs `appendonly yes`, and Redis 7.2 or later, or Valkey (`WAITAOF`). With
    /// `appendfsync always` a write takes as long as the disk; with `everysec` it takes a second or more, which
    /// [`ack_timeout`](crate::RedisConfig::ack_timeout) must allow for.
    Disk,
    /// This many. With 0, a failover loses what was not replicated yet: a key may get two holders, and outcomes may be lost.
    Count(u8),
}
