//! Calls in a transaction of the application: the key and the application's own rows are committed together, or neither.

mod commit;
mod completion;
mod completion_sql;
mod drivers;
mod lock;
mod not_completed;
mod provisional;
mod refusal;
mod statement;

pub use completion_sql::CompletionSql;
pub use drivers::{Commit, Transaction};
pub use not_completed::NotCompleted;
pub use provisional::Provisional;
