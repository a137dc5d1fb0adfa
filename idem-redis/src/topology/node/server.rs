//! Looking at one server: whether it is what it must be, and still has what it was given.

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

/// What a server was found to be.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) facts: Arc<Facts>,
    /// The number of a marker that lies in its slots.
    own: Option<u16>,
}

impl Seen {
    /// The number of its marker, if it is to have one. A replica has that of its master. A server that evicts may evict that,
    /// too.
    pub(super) fn marker(&self) -> Option<u16> {
        if self.facts.is_master && !self.facts.evicts { self.own } else { None }
    }
}

/// One server, as it was found last.
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
            // It can be asked where the slots are, and is looked at again before it is given anything.
            Err(AttemptError::Later(_)) if link.is_open() => {}
            looked => looked?,
        }
        tracing::debug!(server = %self.address(), facts = ?seen.facts, "connected");
        Ok(link)
    }

    /// Whether it is what it must be, and still that.
    pub(super) async fn examine(&self, link: &Link) -> Result<Seen, AttemptError> {
        let common = &self.common;
        let facts = Arc::new(requirements::server(link, common.demands).await?);
        common.time.learn(facts.time);
        if !common.demands.cluster {
            let seen = self.learn(Seen { facts, own: common.markers.of(&[(0, u16::MAX)]) });
            if !seen.facts.is_master {
                return Err(AttemptError::Later(Cause::new(format!("{} is a replica", self.address()))));
            }
            return Ok(seen);
        }
        let view = View::ask(link).await?;
        self.refuse_unless_recognized(&view)?;
        Ok(self.learn(Seen { facts, own: common.markers.of(&view.slots_of(self.address())) }))
    }

    fn learn(&self, seen: Seen) -> Seen {
        if let (true, Some(own)) = (seen.facts.evicts, seen.own) {
            self.common.markers.forget(own);
        }
        let before = self.seen.lock().unwrap_or_else(PoisonError::into_inner).replace(seen.clone());
        if let Some(before) = before {
            self.tell_changes(&before.facts, &seen.facts);
        }
        seen
    }

    fn tell_changes(&self, before: &Facts, now: &Facts) {
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

    /// Whether it still has what it was given.
    pub(super) async fn check_data(&self, link: &Link, seen: &Seen) -> Result<(), AttemptError> {
        if let Some(number) = seen.marker() {
            self.common.markers.look(link, number, &seen.facts).await?;
        }
        link.found_data();
        Ok(())
    }

    /// An address may be that of another cluster by now.
    pub(crate) fn refuse_unless_recognized(&self, view: &View) -> Result<(), AttemptError> {
        if self.common.shards.lock().unwrap_or_else(PoisonError::into_inner).recognize(view) {
            return Ok(());
        }
        let message =
            format!("{} is a node of another cluster: if that is meant, open the store anew", self.address());
        Err(AttemptError::refused(ErrorKind::Unavailable, message))
    }

    /// Whether it was master when it was looked at last, and its marker was looked for.
    pub(crate) fn has_marker(&self) -> bool {
        self.seen().is_some_and(|seen| seen.marker().is_some())
    }

    /// Whether it is known to have replicas, in step or not, or to have had some.
    pub(crate) fn had_replicas(&self) -> bool {
        let Some(seen) = self.seen() else { return false };
        let by_marker = seen.marker().is_some_and(|number| self.common.markers.had_replicas(number));
        by_marker || seen.facts.followers > 0
    }

    /// A key of nobody in one of its slots.
    pub(crate) fn probe_key(&self) -> String {
        self.common.markers.probe_key(self.seen().and_then(|seen| seen.own))
    }

    pub(super) fn seen(&self) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it said of itself last.
    pub(crate) fn facts(&self) -> Option<Arc<Facts>> {
        self.seen().map(|seen| seen.facts)
    }

    /// Whether it is a replica, where nothing but a master will do. In a cluster its nodes say themselves where a key is.
    pub(crate) fn is_demoted(&self) -> bool {
        !self.common.demands.cluster && self.facts().is_some_and(|facts| !facts.is_master)
    }

    /// The server's time, as right as half of what a `TIME` took, and as its clock went on since then.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        let facts = self.facts()?;
        Some(Timestamp::from_micros(facts.time) + facts.time_at.elapsed())
    }
}
