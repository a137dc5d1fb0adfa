//! Calls that are refused or sent again, and how long they take.

mod call_in_time;
mod refused_midway;
mod refusing;
mod resent;
mod unsure_refusals;
