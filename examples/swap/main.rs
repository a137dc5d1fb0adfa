//! One program, any store: by URIs, or by a TOML file with a table `[idempotency]`.
//!
//! ```text
//! cargo run --example swap                                     a temporary redb file, then moka
//! cargo run --example swap -- moka: redis://127.0.0.1:6379     each in turn
//! cargo run --example swap -- redis-cluster://127.0.0.1:7000
//! cargo run --example swap -- postgres://app@127.0.0.1/app
//! cargo run --example swap -- ./service.toml                   whatever the file says
//! ```
//!
//! With each store an order is placed, and retried by a client that lost the answer. Every line is checked: the first
//! that does not hold ends the program with a message and a non-zero exit code.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use idem_core::config::masked;
use idem_core::{Execution, Fingerprint, Key, Owner, Policy, Registry, Scope, Store, StoreConfig, StoreExt};
use serde::Deserialize;

/// Any error: it is printed, and the program ends.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What a service's configuration file may look like.
#[derive(Deserialize)]
struct Service {
    idempotency: StoreConfig,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("swap: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let registry = Registry::new()
        .with(idem_redb::DRIVER)
        .with(idem_redis::DRIVER)
        .with(idem_postgres::DRIVER)
        .with(idem_moka::DRIVER);
    let mut chosen: Vec<String> = std::env::args().skip(1).collect();
    let directory = tempfile::tempdir()?;
    if chosen.is_empty() {
        chosen = vec![format!("redb:{}", directory.path().join("swap.idem").display()), "moka:".to_owned()];
    }
    for one in chosen {
        let (shown, config) = config(one)?;
        let store = registry.open(config).await?;
        let replayed = order_and_retry(&store).await?;
        println!("{shown}: executed once, then replayed {replayed:?}");
    }
    Ok(())
}

/// The configuration in a file's table or by a URI, and a text that shows it without a password.
fn config(argument: String) -> Result<(String, StoreConfig)> {
    if Path::new(&argument).extension().is_some_and(|extension| extension == "toml") {
        let service: Service = toml::from_str(&std::fs::read_to_string(&argument)?)?;
        return Ok((argument, service.idempotency));
    }
    Ok((masked(&argument), argument.into()))
}

/// This code does not know which store it uses.
async fn order_and_retry<S: Store + ?Sized>(store: &S) -> Result<String> {
    let random = Owner::random()?;
    let client_key = random.as_bytes().map(|byte| format!("{byte:02x}")).concat();
    let key = Key::new(&Scope::new("tenant-7")?, client_key)?;
    let request = Fingerprint::builder("orders v1").part("3 apples").finish();
    let policy = Policy::new(Duration::from_secs(30), Duration::from_hours(1));
    let place = || async { Ok::<_, std::io::Error>("order 17".to_owned()) };

    let Execution::Executed(answer) = store.execute(&key, &request, &policy, |_lease| place()).await? else {
        return Err("VIOLATED: the first call did not execute".into());
    };
    let again = || async { Ok::<_, std::io::Error>("a second order".to_owned()) };
    match store.execute(&key, &request, &policy, |_lease| again()).await? {
        Execution::Replayed(replayed) if replayed == answer => Ok(replayed),
        other => Err(format!("VIOLATED: the retry was answered {other:?}").into()),
    }
}
