//! Benchmarks of idem: the same workloads over any [`Store`](idem_core::Store), each beside the bare backend
//! operation in the same run.
//!
//! Only ratios mean anything on a shared machine, and only within one run. So, for each workload and size:
//! - idem and bare rounds alternate, over all numbers of callers, and a row is the median of its rounds: so a temporary
//!   disturbance of the machine affects both sides.
//! - Both sides write and read the same number of bytes: the bare side gets records of the length that idem's codec
//!   makes, with idem's 48-byte keys, on the same disk, with the same durability and the same cache. Where idem wrote
//!   more in a round, the bare side gets the difference too, outside the measured time.
//! - Both sides run where they are fastest ([`Place`]): idem's callers are tokio tasks, as in a server; a bare call that
//!   blocks (redb's commit) has a thread to itself per caller, without a hop between threads.
//! - What a caller prepares before a call is not timed on either side: the digests of key and fingerprint, the random
//!   owner, the outcome's own bytes. The rows of [`whole()`] time all of it. On both sides the caller must own the bytes
//!   of the reply.
//! - Callers that never wait (reads, memory) yield to one another every 32 steps, on both sides.
//!
//! [`Workload`] says what one step of each workload is; `benches/README.md` says how to run the benches and read them.

mod load;
mod machine;
mod result;
mod run;

pub use load::backend::{Backend, Baseline, Place, Raw};
pub use load::caller::{Fresh, Payload};
pub use load::fill::{fill, keys};
pub use load::plan::Plan;
pub use load::without_acks::WithoutAcks;
pub use load::workload::{LEASE, RETENTION, Workload};
pub use machine::memory::{bytes_per_record, mebibytes, most_resident, resident};
pub use machine::table::{TABLE_HEADER, Table, connect};
pub use result::Result;
pub use run::figure::{Bar, Figure};
pub use run::row::{Row, Rows, median};
pub use run::session::{Session, run};
pub use run::sweep::sweep;
pub use run::whole::{Executing, Whole, outcome_of_work, whole};
