//! What one server is at the moment, and whether it still has what it was given.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use idem_core::ErrorKind;

use super::{Common, Node, lock};
use crate::connection::link::Link;
use crate::protocol::fault::{Cause, Fault};
use crate::topology::check::{self, Facts};
use crate::topology::discover;
use crate::topology::slots::View;

/// What the server is by one look.
pub(super) struct Examined {
    pub(super) facts: Arc<Facts>,
    /// As [`Node::marker`], by the same look.
    marker: Option<u16>,
    /// Before the look.
    mastership: u64,
}

impl Node {
    /// Has the server looked at, so that [`has_data`](Node::has_data) tells.
    pub(super) async fn look(&self, link: &Link) -> Result<(), Fault> {
        let examined = self.examine(link).await?;
        self.look_for_data(link, &examined).await
    }

    /// Whether it was seen, since it became master, that it has what it was given.
    pub(super) fn has_data(&self, link: &Link) -> bool {
        link.has_data(self.mastership.load(Ordering::Acquire))
    }

    /// Whether it is what it must be, and still that.
    pub(super) async fn examine(&self, link: &Link) -> Result<Examined, Fault> {
        let Common { demands, markers, .. } = &*self.common;
        let mastership = self.mastership.load(Ordering::Acquire);
        let facts = Arc::new(check::server(link, *demands).await?);
        self.learn(&facts);
        if self.is_demoted() {
            return Err(Fault::Later(Cause::new(format!("{} is a replica", self.address))));
        }
        let slots = if demands.cluster {
            let view = discover::view(link).await?;
            self.refuse_unless_recognized(&view)?;
            view.slots_of(&self.address)
        } else {
            vec![(0, u16::MAX)]
        };
        let mut marker = if facts.is_master { markers.of(&slots) } else { None };
        // A server that evicts may evict that, too.
        if facts.evicts
            && let Some(number) = marker.take()
        {
            markers.forget(number);
        }
        *lock(&self.marker) = marker;
        Ok(Examined { facts, marker, mastership })
    }

    /// Whether it still has what it was given.
    pub(super) async fn look_for_data(&self, link: &Link, examined: &Examined) -> Result<(), Fault> {
        let Examined { facts, marker, mastership } = examined;
        if let Some(number) = *marker {
            self.common.markers.look(link, number, facts).await?;
        }
        // A replica may become master at any time, and has its marker only then.
        if facts.is_master {
            link.found_data(&facts.identity, *mastership);
        }
        Ok(())
    }

    /// An address may be that of another cluster by now.
    pub(crate) fn refuse_unless_recognized(&self, view: &View) -> Result<(), Fault> {
        if lock(&self.common.shards).recognize(view) {
            return Ok(());
        }
        let message =
            format!("{} is a node of another cluster: if that is meant, open the store anew", self.address);
        Err(Fault::refused(ErrorKind::Unavailable, message))
    }

    fn learn(&self, facts: &Arc<Facts>) {
        self.common.time.learn(facts.time);
        let mut last = lock(&self.facts);
        if last.as_ref().is_some_and(|last| last.keeps != facts.keeps) {
            tracing::warn!(server = %self.address, "when it is started again, the server keeps {}", facts.keeps);
        }
        *last = Some(Arc::clone(facts));
    }
}
