//! Pays through a network that loses, delays and duplicates messages, and counts what was booked.
//!
//! ```text
//! cargo run --example payments                                   in another terminal
//! cargo run --example payments-client -- [--server ADDR] [--payments N] [--token TOKEN]
//! ```
//!
//! Every request goes through a proxy in this program, which drops requests, drops answers, delays requests, and sends
//! requests twice. `idem-client` retries with one key for each payment. At the end the program asks the server, without
//! the proxy, what it has booked, and fails unless every payment was booked once.

mod arguments;
mod count;
mod pay;
mod proxy;

use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};

use arguments::Arguments;
use proxy::Proxy;

/// Any error: it is printed, and the program ends.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("payments-client: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    let proxy = Proxy::start(arguments.server.clone()).await?;
    // References of this run, so that what an earlier run booked does not count.
    let run = getrandom::u64()?;
    let references: Vec<_> = (0..arguments.payments).map(|number| format!("{run:016x}-{number}")).collect();
    let bar = ProgressBar::new(arguments.payments)
        .with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} paid, {per_sec}, {elapsed}")?);
    pay::all(&arguments, proxy.addr(), &references, &bar).await?;
    bar.finish();
    println!("{}", proxy.faults());
    count::once_each(&arguments, &references).await
}
