//! The promises of idem, one a line, on the store of your choice:
//!
//! ```text
//! cargo run --example promises                          a redb file in a temporary directory
//! cargo run --example promises -- redb:./payments.idem  a redb file that stays
//! cargo run --example promises -- moka:                 memory only
//! cargo run --example promises -- redis://127.0.0.1:6379
//! cargo run --example promises -- redis-cluster://127.0.0.1:7000
//! cargo run --example promises -- postgres://app@127.0.0.1/app
//! ```
//!
//! Every line is checked, not only printed: the first promise that does not hold ends the program with a message and a
//! non-zero exit code.

mod crash;
mod crowd;
mod desk;
mod reopen;
mod retry;

use std::process::ExitCode;

use idem_core::Registry;
use idem_core::config::masked;
use tempfile::TempDir;

use desk::Desk;

/// Any error: it is printed, and the program ends.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("promises: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    // Kept until the end: dropping it removes the directory.
    let (uri, _directory) = store_uri()?;
    println!("store {}", masked(&uri));

    let registry = Registry::new()
        .with(idem_redb::DRIVER)
        .with(idem_redis::DRIVER)
        .with(idem_postgres::DRIVER)
        .with(idem_moka::DRIVER);
    let store = registry.open(&uri).await?;
    let desk = Desk::new()?;

    retry::first_call_executes(&store, &desk).await?;
    retry::retry_replays(&store, &desk).await?;
    retry::other_payload_is_refused(&store, &desk).await?;
    crowd::concurrent_callers_run_it_once(&store, &desk).await?;
    crash::lease_of_a_crashed_holder_is_taken_over(&store, &desk).await?;
    reopen::reopened_store_still_replays(store, &registry, &uri, &desk).await
}

/// The URI on the command line, or one of a file in a temporary directory.
fn store_uri() -> Result<(String, Option<TempDir>)> {
    let mut arguments = std::env::args_os().skip(1);
    match (arguments.next(), arguments.next()) {
        (None, _) => {
            let directory = tempfile::tempdir()?;
            let file = directory.path().join("promises.idem");
            let file = file.to_str().ok_or("the temporary directory's path is not UTF-8")?;
            // These two characters have another meaning in a URI.
            let file = file.replace('%', "%25").replace('?', "%3F");
            Ok((format!("redb:{file}"), Some(directory)))
        }
        (Some(uri), None) => {
            let uri = uri.into_string().map_err(|uri| format!("{} is not UTF-8", uri.display()))?;
            Ok((uri, None))
        }
        (Some(_), Some(_)) => Err("usage: promises [URI], such as redb:./payments.idem or moka:".into()),
    }
}

/// Ends the program unless a promise held.
fn check(held: bool, violation: impl Into<String>) -> Result<()> {
    if held { Ok(()) } else { Err(format!("VIOLATED: {}", violation.into()).into()) }
}
