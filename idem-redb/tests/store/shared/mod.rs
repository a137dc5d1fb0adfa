//! A database that the application uses as well.

mod shared_database;
mod shared_recovery;
mod two_stores;
