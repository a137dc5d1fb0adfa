//! Looking at one server: whether it is what it must be, and still has what it was given.

use std::sync::{Arc, PoisonError};

use idem_core::ErrorKind;
use tokio::time::Instant;

use super::{Common, Node};
use crate::connection::link::Link;
use crate::protocol::fault::{Cause, Fault};
use crate::topology::check::{self, Facts};
use crate::topology::discover;
use crate::topology::slots::{View, slot_of};

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
    fn marker(&self) -> Option<u16> {
        if self.facts.is_master && !self.facts.evicts { self.own } else { None }
    }
}

impl Node {
    pub(super) async fn connect(&self) -> Result<Arc<Link>, Fault> {
        let link = Link::open(&self.common.dial, self.address()).await?;
        let seen = self.examine(&link).await?;
        check::load_scripts(&link).await?;
        link.identify(seen.facts.identity.clone());
        match self.look_for_data(&link, &seen).await {
            // It can be asked where the slots are, and is looked at again before it is given anything.
            Err(Fault::Later(_)) if link.is_open() => {}
            looked => looked?,
        }
        tracing::debug!(server = %self.address(), facts = ?seen.facts, "connected");
        Ok(link)
    }

    /// Asks the server again what it is; one that is not what it must be loses its connections.
    pub(crate) async fn check(self: &Arc<Self>) {
        let Ok(link) = self.asking_link().await else { return };
        match self.check_by(&link).await {
            Ok(()) => self.replicate_marker().await,
            Err(fault) if matches!(fault, Fault::Refused(..)) || self.is_demoted() => {
                tracing::error!(server = %self.address(), ?fault, "the server is refused");
                self.refuse(&fault);
            }
            Err(fault) => tracing::warn!(server = %self.address(), ?fault, "the server cannot be checked"),
        }
    }

    async fn check_by(&self, link: &Link) -> Result<(), Fault> {
        let seen = self.examine(link).await?;
        // It was a replica, or is one by now: what was seen on those connections says nothing any more.
        self.links().filter(|link| !link.is_to(&seen.facts.identity)).for_each(|link| link.close());
        self.look_for_data(link, &seen).await
    }

    /// Whether it is what it must be, and still that.
    async fn examine(&self, link: &Link) -> Result<Seen, Fault> {
        let common = &self.common;
        let facts = Arc::new(check::server(link, common.demands).await?);
        common.time.learn(facts.time);
        if !common.demands.cluster {
            let seen = self.learn(Seen { facts, own: common.markers.of(&[(0, u16::MAX)]) });
            if !seen.facts.is_master {
                return Err(Fault::Later(Cause::new(format!("{} is a replica", self.address()))));
            }
            return Ok(seen);
        }
        let view = discover::view(link).await?;
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
    pub(super) async fn look_for_data(&self, link: &Link, seen: &Seen) -> Result<(), Fault> {
        if let Some(number) = seen.marker() {
            self.common.markers.look(link, number, &seen.facts).await?;
        }
        link.found_data();
        Ok(())
    }

    /// An address may be that of another cluster by now.
    pub(crate) fn refuse_unless_recognized(&self, view: &View) -> Result<(), Fault> {
        if self.common.shards.lock().unwrap_or_else(PoisonError::into_inner).recognize(view) {
            return Ok(());
        }
        let message =
            format!("{} is a node of another cluster: if that is meant, open the store anew", self.address());
        Err(Fault::refused(ErrorKind::Unavailable, message))
    }

    /// Has its replicas, where there are any and they are waited for, hold its marker.
    pub(crate) async fn replicate_marker(self: &Arc<Self>) {
        let Common { markers, required, dial, .. } = &*self.common;
        let Some(seen) = self.seen().filter(|seen| seen.facts.replicas > 0) else { return };
        let Some(number) = seen.marker() else { return };
        let Some(key) = markers.unacknowledged(number) else { return };
        let by = required.get().map(|required| required.of(Some(slot_of(&key)), 0)).unwrap_or_default();
        if by.replicas == 0 {
            return;
        }
        let until = Instant::now() + dial.ack_timeout * 2;
        let replicated = match self.link(self.turn()).await {
            Ok(link) => markers.replicate(&link, number, by, until).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = replicated {
            tracing::debug!(server = %self.address(), ?fault, "its replicas do not hold its marker yet");
        }
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
}
