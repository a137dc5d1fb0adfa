//! Which server has a key: clusters, sentinels, slots that move, and repeated checks of servers.

mod checks_at_once;
mod data_checked_again;
mod foreign_cluster;
mod importing_master;
mod migrating_slot;
mod new_shard;
mod opened_after_failover;
mod redirected_outside_cluster;
mod scanned;
mod sentinel;
mod stale_sentinel;
mod unknown_host_names;
