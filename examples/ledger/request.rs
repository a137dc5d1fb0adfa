//! The stream: payment requests in JSON Lines.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use idem_core::{Fingerprint, Key, Scope};
use serde::Deserialize;

use crate::Result;

/// A line of the stream.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The first is 1.
    pub(crate) number: usize,
    /// What it asks for, or what is wrong with it.
    pub(crate) request: Result<Request, String>,
}

/// A request to book a payment. A retry is the same request again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) account: String,
    /// The idempotency key that the client chose.
    pub(crate) key: String,
    pub(crate) cents: u64,
    pub(crate) currency: String,
}

impl Request {
    /// The key in the account's own scope: two accounts may choose the same one, for two payments.
    pub(crate) fn key(&self) -> idem_core::Result<Key> {
        Key::new(&Scope::new(&self.account)?, &self.key)
    }

    /// What a retry must repeat: a key that comes back with something else is refused.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::builder("ledger payment v1").part(self.cents.to_le_bytes()).part(&self.currency).finish()
    }

    fn parse(line: &[u8]) -> Result<Self, String> {
        let request: Self = serde_json::from_slice(line).map_err(|error| {
            // The parser names a line, too, but it has seen only this one.
            let text = error.to_string();
            let what = text.split_once(" at line ").map_or(&*text, |(what, _)| what);
            format!("{what}, at column {}", error.column())
        })?;
        request.key().map_err(|error| error.to_string())?;
        if request.cents == 0 {
            return Err("the amount is 0".to_owned());
        }
        if request.currency.len() != 3 || !request.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(format!("{:?} is not a currency such as \"EUR\"", request.currency));
        }
        Ok(request)
    }
}

/// Reads all lines of `path`; empty ones are left out.
pub(crate) fn read(path: &Path) -> Result<Vec<Line>> {
    let in_file = |error| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(in_file)?;
    let mut lines = Vec::new();
    for (before, line) in BufReader::new(file).split(b'\n').enumerate() {
        let line = line.map_err(in_file)?;
        if !line.trim_ascii().is_empty() {
            lines.push(Line { number: before + 1, request: Request::parse(&line) });
        }
    }
    Ok(lines)
}
