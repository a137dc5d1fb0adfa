//! Opening by configuration.

use std::sync::Arc;

use idem_core::config::{Opening, Options};
use idem_core::{Driver, Store};

use crate::config::options::read;
use crate::store::PostgresStore;

/// Opens a [`PostgresStore`] by a URI or a table with `store = "postgres"`, for
/// [`Registry::with`](idem_core::Registry::with). The options are the fields of
/// [`PostgresConfig`](crate::PostgresConfig).
///
/// | URI | what |
/// |---|---|
/// | `postgres://user:password@host:5432/database` | one server |
/// | `postgres://user:password@h1,h2:5433/database?schema=idem` | the one of several that takes writes |
///
/// User, password and database are percent-encoded.
pub const DRIVER: Driver = Driver { schemes: &["postgres", "postgresql"], target: Some("servers"), open };

fn open(options: Options) -> Opening {
    Box::pin(async move { Ok(Arc::new(PostgresStore::open(read(options)?).await?) as Arc<dyn Store>) })
}
