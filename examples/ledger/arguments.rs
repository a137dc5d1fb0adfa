//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::Result;

const USAGE: &str = "usage: ledger [FILE] [--crash N] [--naive]
  FILE       payment requests, one JSON object a line (default: the stream that comes with this example)
  --crash N  kill the booking process N times at random moments, and start it again
  --naive    book without idem, to see what goes wrong";

/// The stream that comes with this example.
const STREAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/ledger/payments.jsonl");

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) stream: PathBuf,
    pub(crate) naive: bool,
    pub(crate) role: Role,
}

/// What this process does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Book, in this process or by workers that it kills, and compare.
    Whole {
        /// How often to kill a worker; `None` books in this process.
        kills: Option<u16>,
    },
    /// Book into this file, and write each answer to standard output. Started by [`Role::Whole`].
    Worker { books: PathBuf },
}

impl Arguments {
    pub(crate) fn read(given: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let (mut stream, mut naive, mut kills, mut worker) = (None, false, None, None);
        let mut given = given.into_iter();
        while let Some(argument) = given.next() {
            match argument.to_str() {
                Some("--naive") => naive = true,
                Some("--crash") => kills = Some(number(given.next())?),
                Some("--worker") => worker = Some(given.next().ok_or("--worker needs a file")?.into()),
                Some(option) if option.starts_with('-') => {
                    return Err(format!("unknown option {option}\n{USAGE}").into());
                }
                _ if stream.is_none() => stream = Some(PathBuf::from(argument)),
                _ => return Err(format!("one FILE only\n{USAGE}").into()),
            }
        }
        let role = match worker {
            Some(books) => Role::Worker { books },
            None => Role::Whole { kills },
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
