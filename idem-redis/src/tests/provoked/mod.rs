//! The errors of the table, provoked on real servers of the kind that `IDEM_REDIS` names.
//!
//! A row is provoked here, or listed with the reason why it is not. What the store makes of these errors is tested in
//! `tests/store`: `refused_writes`, `refused_midway`, `wrong_server`, `bad_server`, `bad_record`, `acknowledged`, `too_many_clients`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod documented;
mod in_clusters;
mod list;
mod on_one_server;
mod programs;
mod rows;
mod support;
mod with_replicas;
