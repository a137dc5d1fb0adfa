//! Failing disks, damaged files, kills, power cuts and leaked tables.

mod bit_flips;
mod disk_model;
mod io_error;
mod kill;
mod leak;
mod power_cut;
