//! Telling a primary from one that another server has replaced.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::{Client, Row};

use crate::error::{Failure, Recovery};

/// Any role may ask, and the second is right from the moment of a promotion on, unlike what `pg_control_checkpoint` tells.
const QUERY: &str =
    "SELECT system_identifier::text, pg_walfile_name(pg_current_wal_lsn()) FROM pg_control_system()";
/// The name of a WAL file begins with the timeline.
const TIMELINE_DIGITS: usize = 8;
/// Systems that are remembered: servers and standbys made from one another are one system.
const MOST_SYSTEMS: usize = 16;

/// The highest timeline that was seen of each system. A promotion begins a higher one, so a primary with a lower one has
/// been replaced.
#[derive(Debug, Default)]
pub(super) struct Timelines(Mutex<Vec<(String, Arc<AtomicU32>)>>);

/// The timeline of a server that takes writes, and the highest that is known of its system.
#[derive(Debug)]
pub(super) struct Timeline {
    own: u32,
    highest: Arc<AtomicU32>,
}

impl Timelines {
    /// The timeline of the server that `client` is connected to. None where it does not tell.
    ///
    /// # Errors
    /// A server of the same system has been promoted since.
    pub(super) async fn of(&self, client: &Client) -> Result<Option<Timeline>, Failure> {
        let row = match client.query_typed_one(QUERY, &[]).await {
            Ok(row) => row,
            Err(error) if error.as_db_error().is_some() => {
                // Some that speak PostgreSQL's protocol have no such functions.
                tracing::debug!(%error, "the server does not tell its timeline");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let Some((system, own)) = read(&row)? else { return Ok(None) };
        let highest = self.highest(system);
        let known = highest.fetch_max(own, Ordering::AcqRel);
        if own < known {
            let message = format!(
                "it was replaced: its timeline is {own}, and a server of the same system that was promoted has {known}; make \
                 it a standby of that one, or end it"
            );
            return Err(Failure { recovery: Recovery::Reconnect, message });
        }
        Ok(Some(Timeline { own, highest }))
    }

    fn highest(&self, system: String) -> Arc<AtomicU32> {
        let mut systems = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, highest)) = systems.iter().find(|(known, _)| *known == system) {
            return Arc::clone(highest);
        }
        if systems.len() == MOST_SYSTEMS {
            systems.remove(0);
        }
        let highest = Arc::default();
        systems.push((system, Arc::clone(&highest)));
        highest
    }
}

impl Timeline {
    /// Whether a server with a higher one was seen since.
    pub(super) fn is_over(&self) -> bool {
        self.own < self.highest.load(Ordering::Acquire)
    }
}

fn read(row: &Row) -> Result<Option<(String, u32)>, Failure> {
    let (system, file): (Option<String>, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
    let timeline = |file: String| u32::from_str_radix(file.get(..TIMELINE_DIGITS)?, 16).ok();
    Ok(system.zip(file.and_then(timeline)))
}
