//! Statements, their parameters and their answers, whichever library sends them.

mod executor;
#[cfg(feature = "sqlx")]
pub(crate) mod of_sqlx;
pub(crate) mod of_tokio_postgres;
mod parameter;
mod refusal;
mod row;

pub(crate) use executor::Executor;
pub(crate) use parameter::Parameter;
pub(crate) use refusal::Refusal;
pub(crate) use row::Row;
