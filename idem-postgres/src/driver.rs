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
/// | `postgres://user:password@h1,h2/database?acks=1` | the same, where a standby must have each commit before it is answered |
/// | `postgres://user@/database?host=/run/postgresql` | a Unix socket, by its folder |
/// | `postgres://user@%2Frun%2Fpostgresql:5433/database` | the same with a port |
///
/// User, password, hosts and database are percent-encoded. Instead of standing before the `?`, they may be options: `user`,
/// `password`, `database`, and `servers` (in a table a text or a list) or `host` and `port`. Unlike `libpq`, the store reads
/// no environment variables and no files of the user's, and takes nobody's name for a user that is not named.
///
/// Other names of the same options, as `libpq` and `idem-redis` have them: `dbname` of `database`, `ca_file` of
/// `sslrootcert`, `client_cert_file` of `sslcert`, and `client_key_file` of `sslkey`. `sslrootcert=system` is
/// `sslmode=verify-full` with the authorities of the system.
///
/// # TLS
/// Who says nothing gets `verify-full` for every server that is not on this machine: a server without TLS, or with a
/// certificate that is not for its name, is refused as [`InvalidConfig`](idem_core::ErrorKind::InvalidConfig), and no
/// password is sent. What other values of `sslmode` mean: [`SslMode`](crate::SslMode).
///
/// | URI | what |
/// |---|---|
/// | `postgres://user:password@host/database?sslrootcert=/etc/idem/ca.pem` | an authority of one's own |
/// | `postgres://user:password@host/database?sslmode=disable` | no TLS, in a network that nobody else is in |
/// | `postgres://user:password@localhost/database?sslmode=verify-full` | TLS also on this machine |
pub const DRIVER: Driver = Driver { schemes: &["postgres", "postgresql"], target: Some("servers"), open };

fn open(options: Options) -> Opening {
    Box::pin(async move { Ok(Arc::new(PostgresStore::open(read(options)?).await?) as Arc<dyn Store>) })
}
