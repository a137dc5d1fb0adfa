//! A disk that is full, or nearly so.

mod disk_full;
mod reserve;
mod shared_commit;
mod tmpfs;
mod while_full;
