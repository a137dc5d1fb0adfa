//! A disk that is full, or nearly so.

mod disk_full;
mod full_company;
mod reserve;
mod tmpfs;
mod while_full;
