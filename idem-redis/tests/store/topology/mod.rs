//! Which server has a key: clusters, sentinels, slots that move, and looking at servers again.

mod asked_elsewhere;
mod checks_at_once;
mod foreign_cluster;
mod lone_redirected;
mod looked_at_again;
mod names_unknown;
mod opened_after_failover;
mod sentinel;
mod shard_of_its_own;
mod slot_on_its_way;
mod stale_sentinel;
