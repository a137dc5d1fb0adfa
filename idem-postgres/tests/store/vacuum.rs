//! What a store says when it is opened on a server that lets its table grow.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use idem_postgres::PostgresConfig;
use idem_servers::postgres::Server;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::support::{config_of, connect, open};

/// The text of all warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<String>>);

struct Text<'a>(&'a mut String);

impl tracing::field::Visit for Text<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        let _ = write!(self.0, "{field} {value:?} ");
    }
}

impl<S: tracing::Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == tracing::Level::WARN {
            event.record(&mut Text(&mut self.0.lock().unwrap()));
        }
    }
}

/// What opening a store warns of.
async fn warnings(config: &PostgresConfig) -> String {
    let warnings = Warnings::default();
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(warnings.clone()));
    drop(open(config).await);
    warnings.0.lock().unwrap().clone()
}

async fn set(config: &PostgresConfig, server: &Server, setting: &str) {
    let admin = connect(config).await;
    admin.batch_execute(&format!("ALTER SYSTEM SET {setting}")).await.unwrap();
    server.restart().await;
}

#[tokio::test]
async fn a_server_that_hardly_vacuums_is_warned_of_at_opening() {
    let server = Server::lone().await;
    let config = config_of(server.node());
    set(&config, &server, "autovacuum_naptime = '30s'").await;
    assert_eq!(warnings(&config).await, "");
    for (setting, named) in [
        ("autovacuum_naptime = '1min'", "autovacuum_naptime to 10 s"),
        ("track_counts = off", "track_counts = on"),
        ("autovacuum = off", "autovacuum = on"),
    ] {
        set(&config, &server, setting).await;
        let told = warnings(&config).await;
        assert!(told.contains(named), "{setting}: {told:?}");
    }
}

#[tokio::test]
async fn a_table_that_is_not_vacuumed_is_warned_of_at_opening() {
    let server = Server::options().config("autovacuum_naptime = 10").start().await;
    let config = config_of(server.node());
    assert_eq!(warnings(&config).await, "");
    let admin = connect(&config).await;
    let off = format!("ALTER TABLE {}.records SET (autovacuum_enabled = off)", config.schema);
    admin.batch_execute(&off).await.unwrap();
    let told = warnings(&config).await;
    assert!(told.contains("autovacuum_enabled"), "{told:?}");
}
