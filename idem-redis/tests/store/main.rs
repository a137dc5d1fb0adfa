//! What the conformance kit cannot ask: servers that refuse, fail or hang, records that are damaged, replicas that
//! do not answer. Against real servers, each test with its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod acknowledged;
mod asked_elsewhere;
mod bad_record;
mod bad_server;
mod between;
mod busy_or_idle;
mod call_in_time;
mod checks_at_once;
mod completion;
mod configured;
mod cutter;
mod demoted_and_promoted;
mod demoted_under_load;
mod eviction_allowed;
mod foreign_cluster;
mod forgotten;
mod full_queue;
mod hostile_answers;
mod lone_redirected;
mod looked_at_again;
mod lost_data;
mod names_unknown;
mod on_disk;
mod opened_after_failover;
mod pushed_with_attributes;
mod refused_midway;
mod refusing;
mod replays_beside_waiters;
mod replica_reconnects;
mod replicas_watched;
mod resent;
mod runtime_at_rest;
mod runtimes;
mod secret_in_refusal;
mod sentinel;
mod settled_in_time;
mod shard_of_its_own;
mod short_lives;
mod slot_on_its_way;
mod stale_sentinel;
mod subscriptions_left;
mod support;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_refused;
mod together;
mod too_many_clients;
mod unsure_refusals;
mod waiting;
mod waiting_unpolled;
mod woken_by_others;
mod wrong_server;
