//! Calls that are refused or resent, and how long they take.

mod call_in_time;
mod refused_midway;
mod refused_writes;
mod resent;
mod unsure_refusals;
