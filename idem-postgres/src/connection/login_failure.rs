//! What a failed login means.

use std::error::Error;
use std::{io, iter};

use crate::error::{Failure, chain};

/// Whether to try it again, or to tell that the configuration must change first.
pub(super) fn of_login(error: tokio_postgres::Error) -> Failure {
    if error.as_db_error().is_some() || !error.source().is_some_and(is_refusal) {
        return error.into();
    }
    Failure::invalid_config(chain(&error))
}

/// Whether this side refuses the server, or what it was told to send, rather than that the connection failed. The kinds of
/// these errors are private; a connection's failure has an [`io::Error`] among its sources.
pub(super) fn is_refusal(source: &(dyn Error + 'static)) -> bool {
    let mut sources = iter::successors(Some(source), |&error| error.source());
    match sources.find_map(<dyn Error>::downcast_ref::<io::Error>) {
        Some(error) => error.kind() == io::ErrorKind::InvalidInput || is_of_tls(error),
        // No TLS, no channel binding, no password.
        None => true,
    }
}

/// Whether TLS itself failed, by the server's certificate or by its alert about that of this client.
#[cfg(feature = "tls")]
fn is_of_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>)
}

#[cfg(not(feature = "tls"))]
fn is_of_tls(_: &io::Error) -> bool {
    false
}
