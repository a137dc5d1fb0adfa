//! Examines one server: whether it meets the requirements, and whether it still has its data.

use std::sync::{Arc, Mutex, PoisonError};

use idem_core::ErrorKind;
use idem_core::clock::Timestamp;

use crate::config::address::Address;
use crate::connection::link::Link;
use crate::protocol::errors::attempt_error::AttemptError;
use crate::protocol::errors::cause::Cause;
use crate::topology::cluster::view::View;
use crate::topology::node::common::Common;
use crate::topology::node::requirements::{self, Facts};

/// The result of examining a server.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) facts: Arc<Facts>,
    /// The number of the marker that lies in the server's slots.
    number: Option<u16>,
}

impl Seen {
    /// The number of the server's marker, if it should have one. A replica has its master's marker. A server that evicts keys
    /// may evict the marker.
    pub(super) fn marker(&self) -> Option<u16> {
        if self.facts.is_master && !self.facts.evicts { self.number } else { None }
    }
}

/// One server, as it was last seen.
pub(crate) struct Server {
    address: Address,
    pub(super) common: Arc<Common>,
    seen: Mutex<Option<Seen>>,
}

impl Server {
    pub(super) fn new(address: Address, common: Arc<Common>) -> Self {
        Self { address, common, seen: Mutex::default() }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) async fn connect(&self) -> Result<Arc<Link>, AttemptError> {
        let link = Link::open(&self.common.connector, self.address()).await?;
        let seen = self.examine(&link).await?;
        requirements::load_scripts(&link).await?;
        link.identify(seen.facts.identity.clone());
        match self.check_data(&link, &seen).await {
            // The link can still serve queries for slots. The data is checked again before any call uses it.
            Err(AttemptError::Later(_)) if link.is_open() => {}
            checked => checked?,
        }
        tracing::debug!(server = %self.address(), facts = ?seen.facts, "connected");
        Ok(link)
    }

    /// Asks the server about itself, and refuses a server that does not meet the requirements.
    pub(super) async fn examine(&self, link: &Link) -> Result<Seen, AttemptError> {
        let common = &self.common;
        let facts = Arc::new(requirements::check_server(link, common.demands).await?);
        common.time.learn(facts.time);
        if !common.demands.cluster {
            let seen = self.learn(Seen { facts, number: common.markers.of(&[(0, u16::MAX)]) });
            if !seen.facts.is_master {
                return Err(AttemptError::Later(Cause::new(format!("{} is a replica", self.address()))));
            }
            return Ok(seen);
        }
        let view = View::ask(link).await?;
        self.refuse_unless_recognized(&view)?;
        Ok(self.learn(Seen { facts, number: common.markers.of(&view.slots_of(self.address())) }))
    }

    fn learn(&self, seen: Seen) -> Seen {
        if let (true, Some(number)) = (seen.facts.evicts, seen.number) {
            self.common.markers.forget(number);
        }
        let before = self.seen.lock().unwrap_or_else(PoisonError::into_inner).replace(seen.clone());
        if let Some(before) = before {
            self.log_changes(&before.facts, &seen.facts);
        }
        seen
    }

    fn log_changes(&self, before: &Facts, now: &Facts) {
        let server = self.address();
        if before.keeps != now.keeps {
            tracing::warn!(%server, "when it is started again, the server keeps {}", now.keeps);
        }
        let (was, replicas) = (before.replicas, now.replicas);
        if before.is_master && now.is_master && replicas < was {
            tracing::warn!(%server, replicas, was, "the master has fewer replicas in step");
        } else if replicas > was {
            tracing::info!(%server, replicas, was, "the master has more replicas in step");
        }
    }

    /// Checks that the server still has its data.
    pub(super) async fn check_data(&self, link: &Link, seen: &Seen) -> Result<(), AttemptError> {
        if let Some(number) = seen.marker() {
            self.common.markers.check(link, number, &seen.facts).await?;
        }
        link.found_data();
        Ok(())
    }

    /// Refuses a node of another cluster, to which the address may belong by now.
    pub(crate) fn refuse_unless_recognized(&self, view: &View) -> Result<(), AttemptError> {
        if self.common.shards.lock().unwrap_or_else(PoisonError::into_inner).recognize(view) {
            return Ok(());
        }
        let message =
            format!("{} is a node of another cluster: if that is meant, open the store anew", self.address());
        Err(AttemptError::refused(ErrorKind::Unavailable, message))
    }

    /// Whether the server was a master with a marker when it was last examined.
    pub(crate) fn has_marker(&self) -> bool {
        self.seen().is_some_and(|seen| seen.marker().is_some())
    }

    /// Whether the server is known to have replicas, caught up or not, or to have had some.
    pub(crate) fn had_replicas(&self) -> bool {
        let Some(seen) = self.seen() else { return false };
        let by_marker = seen.marker().is_some_and(|number| self.common.markers.had_replicas(number));
        by_marker || seen.facts.followers > 0
    }

    /// An unused key in one of the server's slots.
    pub(crate) fn probe_key(&self) -> String {
        self.common.markers.probe_key(self.seen().and_then(|seen| seen.number))
    }

    pub(super) fn seen(&self) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the server last reported of itself.
    pub(crate) fn facts(&self) -> Option<Arc<Facts>> {
        self.seen().map(|seen| seen.facts)
    }

    /// Whether the server is a replica where a master is needed. In a cluster this does not matter, since nodes redirect.
    pub(crate) fn is_demoted(&self) -> bool {
        !self.common.demands.cluster && self.facts().is_some_and(|facts| !facts.is_master)
    }

    /// The server's time: that of the last `TIME`, accurate to half its round trip, plus the time that has passed here since.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        let facts = self.facts()?;
        Some(Timestamp::from_micros(facts.time) + facts.time_at.elapsed())
    }
}
