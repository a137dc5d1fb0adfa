//! Books a stream of payment requests with retries, each payment once:
//!
//! ```text
//! cargo run --example ledger                           books the stream that comes with it
//! cargo run --example ledger -- my-payments.jsonl      books yours
//! cargo run --example ledger -- --crash 20             is killed 20 times meanwhile, and gets it right
//! cargo run --example ledger -- --naive --crash 20     the same without idem, and gets it wrong
//! ```
//!
//! A booking (a balance for each account and an entry for each payment) and the completion of its key are one transaction
//! in one redb file: see `desks/idempotent.rs`. At the end the books are read again and compared with what they must be
//! by the stream alone; a difference makes the exit code non-zero. `README.md` beside this file says what the stream
//! that comes with the example contains.

mod answer;
mod arguments;
mod audit;
mod books;
mod crash;
mod desks;
mod request;
mod serve;
mod tally;
mod verdict;
mod worker;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

use answer::Answer;
use arguments::{Arguments, Role};
use audit::{Booked, Expected};
use crash::Supervisor;
use desks::idempotent::Idempotent;
use desks::naive::Naive;
use request::Line;
use tally::Tally;

/// Any error: it is printed, and the program ends.
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Result<T, E = Failure> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let run = Arguments::read(std::env::args_os().skip(1)).and_then(|arguments| run(&arguments));
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ledger: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let stream = request::read(&arguments.stream)?;
    match &arguments.role {
        Role::Whole { kills } => book_and_compare(arguments, *kills, &stream),
        Role::Worker { books } => work(arguments.naive, &stream, books),
    }
}

fn book_and_compare(arguments: &Arguments, kills: Option<u16>, stream: &[Line]) -> Result<()> {
    let expected = Expected::of(stream);
    verdict::announce(&arguments.stream, &expected);

    let directory = tempfile::tempdir()?;
    let books = directory.path().join("ledger.redb");
    let mut tally = Tally::new(stream);
    let bar = progress_bar(stream.len())?;
    if let Some(kills) = kills {
        if arguments.naive {
            // redb cannot open a file whose creation was cut off by a kill. idem creates its file whole or not at all.
            drop(Naive::open(&books)?);
        }
        Supervisor { arguments, books: &books, tally: &mut tally, bar: &bar }.run(kills)?;
    } else {
        serve_here(arguments.naive, stream, &books, |answer| {
            bar.inc(1);
            tally.note(&answer)
        })?;
    }
    bar.finish_and_clear();

    let booked = Booked::read(&books)?;
    if arguments.naive {
        verdict::double_bookings(&expected, &booked, &tally)
    } else {
        verdict::every_payment_once(&expected, &booked, &tally)
    }
}

/// The worker, which is killed: books, and writes each answer to the process that started it.
fn work(naive: bool, stream: &[Line], books: &Path) -> Result<()> {
    let mut output = std::io::stdout().lock();
    serve_here(naive, stream, books, |answer| Ok(writeln!(output, "{answer}")?))
}

/// Serves the whole stream in this process, and calls `on_answer` with each answer.
#[tokio::main]
async fn serve_here(
    naive: bool,
    stream: &[Line],
    books: &Path,
    mut on_answer: impl FnMut(Answer) -> Result<()>,
) -> Result<()> {
    let (answers, mut answered) = mpsc::channel(64);
    let lines = stream.to_vec();
    let books = books.to_owned();
    let serving = tokio::spawn(async move {
        if naive {
            serve::serve(lines, Naive::open(&books)?, answers).await
        } else {
            serve::serve(lines, Idempotent::open(&books).await?, answers).await
        }
    });
    while let Some(answer) = answered.recv().await {
        on_answer(answer)?;
    }
    serving.await?
}

/// A progress bar, which shows only on a terminal.
fn progress_bar(lines: usize) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} lines  {msg}")?;
    Ok(ProgressBar::new(u64::try_from(lines)?).with_style(style))
}
