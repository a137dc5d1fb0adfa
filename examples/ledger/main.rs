//! Books a stream of payment requests with retries, each payment once:
//!
//! ```text
//! cargo run --example ledger                           books the stream that comes with it
//! cargo run --example ledger -- my-payments.jsonl      books yours
//! cargo run --example ledger -- --crash 20             is killed 20 times meanwhile, and gets it right
//! cargo run --example ledger -- --naive --crash 20     the same without idem, and gets it wrong
//! ```
//!
//! With `--store postgres://user@host:port/database` it books in PostgreSQL, otherwise in a redb file.
//!
//! A booking (a balance for each account and an entry for each payment) and the completion of its key are one transaction:
//! see `desks/idempotent/`. At the end the books are read again and compared with what they must be
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
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

use answer::Answer;
use arguments::{Arguments, Role};
use audit::Expected;
use books::{Books, postgres, redb};
use crash::Supervisor;
use request::Line;
use tally::Tally;

/// Any error: it is printed, and the program ends.
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Result<T, E = Failure> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> ExitCode {
    let run = async { run(&Arguments::read(std::env::args_os().skip(1))?).await };
    match run.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ledger: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let stream = request::read(&arguments.stream)?;
    match &arguments.role {
        Role::Worker { books } => work(arguments.naive, &stream, books).await,
        Role::Whole { store: None, kills } => {
            let books = Books::Redb(redb::File::fresh(arguments.naive)?);
            book_and_compare(arguments, *kills, &stream, &books).await?;
            books.remove().await
        }
        Role::Whole { store: Some(uri), kills } => {
            let run = postgres::Run::fresh(uri).await?;
            println!("books     {run}");
            let books = Books::Postgres(run);
            let compared = book_and_compare(arguments, *kills, &stream, &books).await;
            compared.map_err(|error| format!("{error}\nThe books are left as they are."))?;
            books.remove().await
        }
    }
}

async fn book_and_compare(
    arguments: &Arguments,
    kills: Option<u16>,
    stream: &[Line],
    books: &Books,
) -> Result<()> {
    let expected = Expected::of(stream);
    verdict::announce(&arguments.stream, &expected);

    let mut tally = Tally::new(stream);
    let bar = progress_bar(stream.len())?;
    if let Some(kills) = kills {
        // Blocks this thread: until it returns, all the work is done by other processes.
        Supervisor { arguments, books, tally: &mut tally, bar: &bar }.run(kills)?;
    } else {
        serve_here(arguments.naive, stream, books, |answer| {
            bar.inc(1);
            tally.note(&answer)
        })
        .await?;
    }
    bar.finish_and_clear();

    let booked = books.read().await?;
    if arguments.naive {
        verdict::double_bookings(&expected, &booked, &tally)
    } else {
        verdict::every_payment_once(&expected, &booked, &tally)
    }
}

/// The worker, which is killed: books, and writes each answer to the process that started it.
async fn work(naive: bool, stream: &[Line], books: &Books) -> Result<()> {
    let mut output = std::io::stdout().lock();
    serve_here(naive, stream, books, |answer| Ok(writeln!(output, "{answer}")?)).await
}

/// Serves the whole stream in this process, and calls `on_answer` with each answer.
async fn serve_here(
    naive: bool,
    stream: &[Line],
    books: &Books,
    mut on_answer: impl FnMut(Answer) -> Result<()>,
) -> Result<()> {
    let (answers, mut answered) = mpsc::channel(64);
    let telling = async {
        while let Some(answer) = answered.recv().await {
            on_answer(answer)?;
        }
        Ok(())
    };
    let serving = desks::serve_into(books, naive, stream.to_vec(), answers);
    tokio::try_join!(serving, telling)?;
    Ok(())
}

/// A progress bar, which shows only on a terminal.
fn progress_bar(lines: usize) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} lines  {msg}")?;
    Ok(ProgressBar::new(u64::try_from(lines)?).with_style(style))
}
