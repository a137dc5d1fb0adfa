//! What is sent by a transaction of the application, whichever library it is of.

use crate::sql::Parameter;

/// A statement that is answered by one row.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'s> {
    pub(super) sql: &'s str,
    pub(super) parameters: &'s [Parameter<'s>],
}
