//! Waiting for replicas and disks, and masters that are demoted meanwhile.

mod acknowledged;
mod demoted_and_promoted;
mod demoted_under_load;
mod expiring_keys;
mod on_disk;
mod replica_reconnects;
mod replicas_watched;
