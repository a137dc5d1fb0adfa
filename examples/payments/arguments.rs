//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::Result;

const USAGE: &str = "payments [--store URI] [--listen ADDR] [--effects FILE] [--lease TIME] [--pause TIME]";

pub(crate) struct Arguments {
    pub(crate) store: String,
    pub(crate) listen: String,
    pub(crate) effects: PathBuf,
    pub(crate) lease: Duration,
    pub(crate) pause: Duration,
}

impl Arguments {
    pub(crate) fn read(mut given: impl Iterator<Item = String>) -> Result<Self> {
        let mut arguments = Self {
            store: "redb:payments.idem".to_owned(),
            listen: "127.0.0.1:3000".to_owned(),
            effects: "payments.effects".into(),
            lease: Duration::from_secs(30),
            pause: Duration::ZERO,
        };
        while let Some(option) = given.next() {
            let value = given.next().ok_or_else(|| format!("{option} needs a value; {USAGE}"))?;
            match &*option {
                "--store" => arguments.store = value,
                "--listen" => arguments.listen = value,
                "--effects" => arguments.effects = value.into(),
                "--lease" => arguments.lease = humantime::parse_duration(&value)?,
                "--pause" => arguments.pause = humantime::parse_duration(&value)?,
                other => return Err(format!("unknown option {other}; {USAGE}").into()),
            }
        }
        Ok(arguments)
    }
}
