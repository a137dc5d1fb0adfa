//! One server and the connections to it: made when they are needed, and again when they have broken.

mod look;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use idem_core::clock::Timestamp;

use crate::Address;
use crate::connection::dial::Dial;
use crate::connection::link::Link;
use crate::connection::single_flight::SingleFlight;
use crate::protocol::fault::{Cause, Fault};
use crate::topology::check::{Demands, Facts};
use crate::topology::marker::Markers;
use crate::topology::required::Required;
use crate::topology::shards::Shards;
use crate::topology::time::ServerTime;
use look::Seen;

/// How long a server that could not be connected to is left alone.
const PAUSE: Duration = Duration::from_millis(100);

/// What is the same for all servers of a store.
pub(crate) struct Common {
    pub(crate) dial: Arc<Dial>,
    pub(crate) demands: Demands,
    pub(crate) time: Arc<ServerTime>,
    /// To each server, for calls.
    pub(crate) connections: usize,
    pub(crate) shards: Mutex<Shards>,
    pub(crate) markers: Markers,
    pub(crate) required: OnceLock<Required>,
}

pub(crate) struct Node {
    address: Address,
    common: Arc<Common>,
    /// One place for each connection: those for calls, and last the one for notifications.
    lines: Box<[SingleFlight<Arc<Link>>]>,
    next: AtomicUsize,
    /// As it was found last.
    seen: Mutex<Option<Seen>>,
    /// Whether it has slots, as another server said, and no view of the cluster has it yet.
    is_newcomer: AtomicBool,
    /// Whether the last attempt to connect to it failed.
    is_out_of_reach: AtomicBool,
}

impl Node {
    pub(crate) fn new(address: Address, common: Arc<Common>) -> Arc<Self> {
        let lines =
            (0..=common.connections.max(1)).map(|_| SingleFlight::new(common.dial.longest())).collect();
        let next = AtomicUsize::new(0);
        let (is_newcomer, is_out_of_reach) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { address, common, lines, next, seen: Mutex::default(), is_newcomer, is_out_of_reach })
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Which connection is next: those for calls take turns.
    pub(crate) fn turn(&self) -> usize {
        match self.calls() {
            1 => 0,
            lines => self.next.fetch_add(1, Ordering::Relaxed) % lines,
        }
    }

    /// The connection for calls whose `turn` it is, if it is open already.
    pub(crate) fn open_link(&self, turn: usize) -> Option<Arc<Link>> {
        self.open_line(turn).filter(|link| link.has_data())
    }

    /// The same, made now if need be. Connecting goes on when the caller leaves.
    pub(crate) async fn link(self: &Arc<Self>, turn: usize) -> Result<Arc<Link>, Fault> {
        let link = self.line(turn).await?;
        if !link.has_data() {
            let seen = self.seen().ok_or_else(|| self.is_not_connected())?;
            self.look_for_data(&link, &seen).await?;
        }
        Ok(link)
    }

    /// A connection for questions alone: the server may be a replica, have lost its data, or still be loading them.
    pub(crate) async fn asking_link(self: &Arc<Self>) -> Result<Arc<Link>, Fault> {
        self.line(self.turn()).await
    }

    /// The connection for notifications, made when somebody waits. No call may share it: servers bound what waits to be
    /// sent to those who have subscribed to anything, and would end it over a few large answers
    /// (`client-output-buffer-limit pubsub`).
    pub(crate) async fn notifier(self: &Arc<Self>) -> Result<Arc<Link>, Fault> {
        self.line(self.calls()).await
    }

    async fn line(self: &Arc<Self>, number: usize) -> Result<Arc<Link>, Fault> {
        if let Some(open) = self.open_line(number) {
            return Ok(open);
        }
        let make = || {
            let node = Arc::clone(self);
            async move {
                let connected = node.connect().await;
                node.tell_connected(connected.as_ref().err());
                connected
            }
        };
        let line = self.lines[number].get_or_make(|link| link.is_open(), PAUSE, make).await;
        line.map_err(|fault| fault.unwrap_or_else(|| self.is_not_connected()))
    }

    /// What is the same as before is not said again and again: a server may be down for hours.
    fn tell_connected(&self, fault: Option<&Fault>) {
        let was_out_of_reach = self.is_out_of_reach.swap(fault.is_some(), Ordering::AcqRel);
        match (was_out_of_reach, fault) {
            (false, Some(fault)) => tracing::warn!(server = %self.address, ?fault, "cannot connect"),
            (true, Some(fault)) => tracing::debug!(server = %self.address, ?fault, "still cannot connect"),
            (true, None) => tracing::info!(server = %self.address, "connected again"),
            (false, None) => {}
        }
    }

    fn is_not_connected(&self) -> Fault {
        Fault::Later(Cause::new(format!("{} is not connected", self.address)))
    }

    fn calls(&self) -> usize {
        self.lines.len() - 1
    }

    fn open_line(&self, number: usize) -> Option<Arc<Link>> {
        self.lines[number].get().filter(|link| link.is_open())
    }

    pub(crate) fn is_newcomer(&self) -> bool {
        self.is_newcomer.load(Ordering::Acquire)
    }

    pub(crate) fn set_newcomer(&self, is_newcomer: bool) {
        self.is_newcomer.store(is_newcomer, Ordering::Release);
    }

    fn seen(&self) -> Option<Seen> {
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

    /// Closes all connections, and gives up those that are being made.
    pub(crate) fn close(&self) {
        self.lines.iter().filter_map(SingleFlight::reset).for_each(|link| link.close());
    }

    /// The same, for this reason, of which whoever asks in the next moment is told.
    fn refuse(&self, fault: &Fault) {
        self.lines.iter().filter_map(|line| line.fail(fault.clone())).for_each(|link| link.close());
    }

    fn links(&self) -> impl Iterator<Item = Arc<Link>> + '_ {
        self.lines.iter().filter_map(SingleFlight::get)
    }
}
