//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::Result;
use crate::books::{Books, postgres, redb};

const USAGE: &str = "usage: ledger [FILE] [--store URI] [--crash N] [--naive]
  FILE       payment requests, one JSON object a line (default: the stream that comes with this example)
  --store URI
             book in PostgreSQL, by postgres://user@host:port/database (default: a redb file in a temporary folder)
  --crash N  kill the booking process N times at random moments, and start it again
  --naive    book without idem, to see what goes wrong";

/// The stream that comes with this example.
const STREAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/ledger/payments.jsonl");

pub(crate) struct Arguments {
    pub(crate) stream: PathBuf,
    pub(crate) naive: bool,
    pub(crate) role: Role,
}

/// What this process does.
pub(crate) enum Role {
    /// Book, in this process or by workers that it kills, and compare.
    Whole {
        /// A database of PostgreSQL; `None` books in a file. It may have a password in it.
        store: Option<String>,
        /// How often to kill a worker; `None` books in this process.
        kills: Option<u16>,
    },
    /// Book, and write each answer to standard output. Started by [`Role::Whole`].
    Worker { books: Books },
}

impl Arguments {
    pub(crate) fn read(given: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let (mut stream, mut naive, mut kills) = (None, false, None);
        let (mut store, mut worker) = (None, None);
        let mut given = given.into_iter();
        while let Some(argument) = given.next() {
            match argument.to_str() {
                Some("--naive") => naive = true,
                Some("--crash") => kills = Some(number(given.next())?),
                Some("--store") => store = Some(database(given.next())?),
                Some("--worker") => worker = Some(given.next().ok_or("--worker needs its books")?),
                Some(option) if option.starts_with('-') => {
                    return Err(format!("unknown option {option}\n{USAGE}").into());
                }
                _ if stream.is_none() => stream = Some(PathBuf::from(argument)),
                _ => return Err(format!("one FILE only\n{USAGE}").into()),
            }
        }
        let role = match (worker, store) {
            (None, store) => Role::Whole { store, kills },
            (Some(file), None) => Role::Worker { books: Books::Redb(redb::File::at(file.into())) },
            (Some(schema), Some(uri)) => {
                let schema = schema.into_string().map_err(|_| "--worker needs a schema")?;
                Role::Worker { books: Books::Postgres(postgres::Run::named(uri, schema)) }
            }
        };
        Ok(Self { stream: stream.unwrap_or_else(|| STREAM.into()), naive, role })
    }
}

fn number(given: Option<OsString>) -> Result<u16> {
    let given = given.ok_or_else(|| format!("--crash needs a number\n{USAGE}"))?;
    let number = given.to_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        format!("--crash needs a number up to {}, not {}\n{USAGE}", u16::MAX, given.display()).into()
    })
}

/// The error does not show what was given: there may be a password in it.
fn database(given: Option<OsString>) -> Result<String> {
    let uri = given.and_then(|given| given.into_string().ok()).unwrap_or_default();
    let target = uri.strip_prefix("postgres://").or_else(|| uri.strip_prefix("postgresql://"));
    match target {
        // Options would mean one thing to the store and another to the application's library.
        Some(target) if target.contains('@') && !target.contains(['?', '#']) => Ok(uri),
        _ => {
            Err(format!("--store needs postgres://user@host:port/database, without options\n{USAGE}").into())
        }
    }
}
