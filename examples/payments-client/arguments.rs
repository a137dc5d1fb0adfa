//! The command line.

use crate::Result;

const USAGE: &str = "payments-client [--server ADDR] [--payments N] [--token TOKEN]";

pub(crate) struct Arguments {
    pub(crate) server: String,
    pub(crate) payments: u64,
    pub(crate) token: String,
}

impl Arguments {
    pub(crate) fn read(mut given: impl Iterator<Item = String>) -> Result<Self> {
        let mut arguments =
            Self { server: "127.0.0.1:3000".to_owned(), payments: 1_000, token: "demo".to_owned() };
        while let Some(option) = given.next() {
            let value = given.next().ok_or_else(|| format!("{option} needs a value; {USAGE}"))?;
            match &*option {
                "--server" => arguments.server = value,
                "--payments" => arguments.payments = value.parse()?,
                "--token" => arguments.token = value,
                other => return Err(format!("unknown option {other}; {USAGE}").into()),
            }
        }
        Ok(arguments)
    }
}
