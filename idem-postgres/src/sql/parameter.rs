//! Parameters of statements.

/// A parameter, of one of the types that the statements have.
#[derive(Debug, Clone)]
pub(crate) enum Parameter<'p> {
    /// `bytea`
    Bytes(&'p [u8]),
    /// `bigint`
    Number(i64),
    /// `boolean`
    Flag(bool),
    /// `text`
    Text(&'p str),
    /// `bytea[]`
    ManyBytes(Vec<&'p [u8]>),
    /// `bigint[]`
    Numbers(Vec<i64>),
    /// `bytea[]`, some of which are null.
    SomeBytes(Vec<Option<&'p [u8]>>),
    /// `bigint[]`, some of which are null.
    SomeNumbers(Vec<Option<i64>>),
}
