//! Markers. A marker is a key that each master is given once, for good. A master without its marker has lost its data.
//! Nothing else shows that, since such a master answers like a new server. The marker also tells stores that open later
//! whether there were replicas.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use idem_core::{ErrorKind, Owner};
use tokio::time::Instant;

use crate::config::address::Address;
use crate::connection::acknowledgers::Acknowledgers;
use crate::connection::link::Link;
use crate::protocol::command::{Command, Part};
use crate::protocol::errors::attempt_error::AttemptError;
use crate::protocol::errors::cause::Cause;
use crate::protocol::reply::Reply;
use crate::protocol::script::MARK_REPLICATED;
use crate::topology::cluster::slots::slot_of;
use crate::topology::node::requirements::{Facts, Keeps};

/// How many markers a store can have. A master of a cluster is given the first one that lies in its slots; a master with
/// fewer than a hundred slots may have none.
const MAX_MARKERS: u16 = 1_024;

/// Time to live: a hundred years, in milliseconds. The key needs an expiry, since `propagate.lua` makes its write by setting
/// the expiry again.
const LIFE: u64 = 100 * 365 * 24 * 60 * 60 * 1_000;

/// How many bytes at the beginning of a marker identify it. [`REPLICATED`] follows them where replicas hold the marker.
const IDENTITY: usize = 16;
const REPLICATED: &str = "replicated";

pub(crate) struct Markers {
    prefix: String,
    /// The slot that each marker has in a cluster.
    slots: Box<[u16]>,
    /// Each marker as it was last seen.
    seen: Mutex<HashMap<u16, Marker>>,
}

/// A marker as it was last seen, and the server on which it was seen.
#[derive(Clone)]
struct Marker {
    value: Bytes,
    at: Address,
    /// Whether the server keeps its writes across a restart.
    durable: bool,
    /// Whether as many replicas hold the marker as must hold a write.
    acknowledged: bool,
    /// Changes with every start of the server.
    run_id: String,
    /// The server's replication offset.
    offset: u64,
    /// The replication id that the server had after it came back with an older snapshot. A server with that id, or that
    /// followed it, has lost the same data.
    older: Option<String>,
}

impl Markers {
    pub(crate) fn new(prefix: &str) -> Self {
        let slots = (0..MAX_MARKERS).map(|number| slot_of(key(prefix, number).as_bytes())).collect();
        Self { prefix: prefix.to_owned(), slots, seen: Mutex::default() }
    }

    /// The number of the marker for a master that has these ranges of `slots`.
    pub(crate) fn of(&self, slots: &[(u16, u16)]) -> Option<u16> {
        let has = |slot: &u16| slots.iter().any(|(first, last)| (first..=last).contains(&slot));
        self.slots.iter().position(has).and_then(|number| u16::try_from(number).ok())
    }

    /// Looks for marker `number` on the master of `link`, and sets it where there is none.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) where the marker is gone, or is of older data, although the persistence of the server
    /// or its replicas were sure to keep it.
    pub(crate) async fn check(&self, link: &Link, number: u16, facts: &Facts) -> Result<(), AttemptError> {
        let key = key(&self.prefix, number);
        let new = |value| Marker {
            value,
            at: link.address().clone(),
            durable: facts.keeps.is_durable(),
            acknowledged: false,
            run_id: facts.identity.run_id.clone(),
            offset: facts.offset,
            older: None,
        };
        // Read before the query, since another connection may set the marker meanwhile.
        let seen = self.seen().get(&number).cloned();
        let found = match link.ask(["GET".into(), key.clone().into()]).await {
            Ok(Reply::Bytes(value)) => Some(value),
            Ok(_) => None,
            // The slot is migrating to another master.
            Err(AttemptError::Moved { .. } | AttemptError::Ask { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let marker = match (found, seen) {
            (Some(value), Some(seen)) if identity(&seen.value) == identity(&value) => {
                if seen.is_newer_than(link.address(), facts) {
                    let older = Some(facts.identity.replication_id.clone());
                    self.seen().insert(number, Marker { older, ..seen });
                    return Err(self.lost(link, number, "came back with an older snapshot"));
                }
                new(value)
            }
            (found, Some(seen)) if seen.is_promised(link.address()) => {
                let is_another = found.is_some();
                let what = if is_another { "has the marker of other data" } else { "has no marker any more" };
                return Err(self.lost(link, number, what));
            }
            (found, before) => {
                if before.is_some() {
                    tracing::error!(
                        server = %link.address(),
                        "the server has lost its data: what was locked and completed there is forgotten and can run again"
                    );
                }
                let Some(value) = (match found {
                    Some(value) => Some(value),
                    None => set_marker(link, key).await?,
                }) else {
                    return Ok(());
                };
                new(value)
            }
        };
        let mut seen = self.seen();
        let acknowledged = seen
            .get(&number)
            .is_some_and(|before| before.acknowledged && identity(&before.value) == identity(&marker.value));
        seen.insert(number, Marker { acknowledged, ..marker });
        Ok(())
    }

    /// Forgets marker `number`: from now on it may disappear without other data being lost.
    pub(crate) fn forget(&self, number: u16) {
        self.seen().remove(&number);
    }

    /// An unused key in the slot of marker `number`, or in any slot without one.
    pub(crate) fn probe_key(&self, number: Option<u16>) -> String {
        let slot = number.map(|number| format!("{{{}}}", key(&self.prefix, number)));
        format!("{}check{}", self.prefix, slot.unwrap_or_default())
    }

    /// Whether replicas once held marker `number`.
    pub(crate) fn had_replicas(&self, number: u16) -> bool {
        self.seen().get(&number).is_some_and(|seen| seen.value.len() > IDENTITY)
    }

    /// The key of marker `number`, unless replicas are known to hold it.
    pub(crate) fn unacknowledged(&self, number: u16) -> Option<Bytes> {
        let is_unsure = self.seen().get(&number).is_some_and(|seen| !seen.acknowledged);
        is_unsure.then(|| key(&self.prefix, number).into())
    }

    /// Has marker `number` acknowledged `by` these, once, so that a promoted replica has it. [`REPLICATED`] is appended to
    /// the marker, which tells stores that open later that there were replicas.
    pub(crate) async fn replicate(
        &self,
        link: &Arc<Link>,
        number: u16,
        by: Acknowledgers,
        until: Instant,
    ) -> Result<(), AttemptError> {
        let Some(key) = self.unacknowledged(number) else { return Ok(()) };
        let arguments = [Part::Number(IDENTITY as u64), REPLICATED.into()];
        link.run(&Command::script(&MARK_REPLICATED, true, key.clone(), &arguments)).await?;
        link.acknowledged(&key, false, by, until).await?;
        if let Some(seen) = self.seen().get_mut(&number) {
            seen.acknowledged = true;
        }
        Ok(())
    }

    fn lost(&self, link: &Link, number: u16, what: &str) -> AttemptError {
        let message = format!(
            "{} has lost its data: it {what} ({}). What was locked and completed there is forgotten and would run again. \
             Bring the data back, or open the store anew to go on without",
            link.address(),
            key(&self.prefix, number),
        );
        AttemptError::refused(ErrorKind::Corrupt, message)
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<u16, Marker>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Marker {
    /// Whether the server at `address` is sure to have kept the marker.
    fn is_promised(&self, address: &Address) -> bool {
        self.acknowledged || self.durable && self.at == *address
    }

    /// Whether the server restarted from a snapshot that is older than its last known replication offset, or follows one
    /// that did. Its replicas copy that snapshot, so what they acknowledged after it was taken is lost.
    fn is_newer_than(&self, address: &Address, facts: &Facts) -> bool {
        let is_started_again = self.at == *address && self.run_id != facts.identity.run_id;
        let has_appended = matches!(facts.keeps, Keeps::Appended { .. });
        let is_older = is_started_again && !has_appended && facts.began_at < self.offset;
        let is_of_older = |id: &String| self.older.as_ref() == Some(id);
        let follows_older = is_of_older(&facts.former_id) || is_of_older(&facts.identity.replication_id);
        self.acknowledged && (is_older || follows_older)
    }
}

fn identity(value: &[u8]) -> &[u8] {
    value.get(..IDENTITY).unwrap_or(value)
}

fn key(prefix: &str, number: u16) -> String {
    format!("{prefix}marker:{number}")
}

/// Sets a marker, and returns the value that is there then; `None` while the server takes no writes, or the slot is moving.
async fn set_marker(link: &Link, key: String) -> Result<Option<Bytes>, AttemptError> {
    let random = Owner::random()
        .map_err(|error| AttemptError::Later(Cause::with_source("no randomness".to_owned(), error)))?;
    let value = Bytes::copy_from_slice(random.as_bytes());
    let set =
        ["SET".into(), key.into(), value.clone().into(), "NX".into(), "GET".into(), "PX".into(), LIFE.into()];
    match link.ask(set).await {
        Ok(Reply::Bytes(other)) => Ok(Some(other)),
        Ok(_) => Ok(Some(value)),
        Err(
            AttemptError::Moved { .. }
            | AttemptError::Ask { .. }
            | AttemptError::Full(_)
            | AttemptError::NoWrites(_),
        ) => Ok(None),
        Err(error) => Err(error),
    }
}
