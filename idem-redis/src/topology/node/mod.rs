//! One server and the connections to it: made when they are needed, and again when they have broken.

mod look;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use idem_core::Timestamp;
use tokio::time::Instant;

use crate::Address;
use crate::connection::dial::Dial;
use crate::connection::link::Link;
use crate::connection::single_flight::SingleFlight;
use crate::protocol::fault::{Cause, Fault};
use crate::topology::check::{self, Demands, Facts};
use crate::topology::marker::Markers;
use crate::topology::required::Required;
use crate::topology::shards::Shards;
use crate::topology::slots::slot_of;
use crate::topology::time::ServerTime;

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
    /// Those of calls, and at last that of notifications.
    lines: Box<[Line]>,
    next: AtomicUsize,
    /// What it said of itself last.
    facts: Mutex<Option<Arc<Facts>>>,
    /// The number of its marker, if it is to have one.
    marker: Mutex<Option<u16>>,
    /// How often it has become master: what was seen of its data before then counts no more.
    mastership: AtomicU64,
    /// Whether it has slots, as another server said, and no view of the cluster has it yet.
    is_newcomer: AtomicBool,
}

/// One connection, and the look at the server that calls need before it serves them: one for all that need it, which goes on
/// when they leave.
struct Line {
    link: SingleFlight<Arc<Link>>,
    look: SingleFlight<()>,
}

impl Node {
    pub(crate) fn new(address: Address, common: Arc<Common>) -> Arc<Self> {
        let longest = common.dial.longest();
        let line = |_| Line { link: SingleFlight::new(longest), look: SingleFlight::new(longest) };
        let lines = (0..=common.connections.max(1)).map(line).collect();
        Arc::new(Self {
            address,
            common,
            lines,
            next: AtomicUsize::new(0),
            facts: Mutex::default(),
            marker: Mutex::default(),
            mastership: AtomicU64::new(1),
            is_newcomer: AtomicBool::new(false),
        })
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// A connection for calls that is open already.
    pub(crate) fn open_link(&self) -> Option<Arc<Link>> {
        self.open_line(self.next()).filter(|link| self.has_data(link))
    }

    /// A connection for calls, made now if need be. Connecting goes on when the caller leaves, and so does the look at the
    /// server that it may need.
    pub(crate) async fn link(self: &Arc<Self>) -> Result<Arc<Link>, Fault> {
        let number = self.next();
        let link = self.line(number).await?;
        if self.has_data(&link) {
            return Ok(link);
        }
        let look = || {
            let (node, link) = (Arc::clone(self), Arc::clone(&link));
            async move {
                node.look(&link).await?;
                if node.has_data(&link) { Ok(()) } else { Err(node.is_no_master()) }
            }
        };
        let looked = self.lines[number].look.get_or_make(|()| self.has_data(&link), PAUSE, look).await;
        looked.map_err(|fault| fault.unwrap_or_else(|| self.is_not_connected()))?;
        // It may have been a look at another connection, or one from before the server became master.
        if self.has_data(&link) { Ok(link) } else { Err(self.is_no_master()) }
    }

    fn is_no_master(&self) -> Fault {
        Fault::Later(Cause::new(format!("{} is not known to be master yet", self.address)))
    }

    fn is_not_connected(&self) -> Fault {
        Fault::Later(Cause::new(format!("{} is not connected", self.address)))
    }

    /// It has become master, and may not have all that it is believed to have: it is looked at again before it serves calls.
    pub(crate) fn became_master(&self) {
        self.mastership.fetch_add(1, Ordering::AcqRel);
    }

    /// The same for questions: the server may have lost its data, or be about to read them.
    pub(crate) async fn asking_link(self: &Arc<Self>) -> Result<Arc<Link>, Fault> {
        self.line(self.next()).await
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
                if let Err(fault) = &connected {
                    tracing::warn!(server = %node.address, ?fault, "cannot connect");
                }
                connected
            }
        };
        let link = self.lines[number].link.get_or_make(|link| link.is_open(), PAUSE, make).await;
        link.map_err(|fault| fault.unwrap_or_else(|| self.is_not_connected()))
    }

    /// The connections of calls take turns.
    fn next(&self) -> usize {
        match self.calls() {
            1 => 0,
            lines => self.next.fetch_add(1, Ordering::Relaxed) % lines,
        }
    }

    fn calls(&self) -> usize {
        self.lines.len() - 1
    }

    fn open_line(&self, number: usize) -> Option<Arc<Link>> {
        self.lines[number].link.get().filter(|link| link.is_open())
    }

    /// Asks the server again what it is; one that is not what it must be loses its connections.
    pub(crate) async fn check(self: &Arc<Self>) {
        let Ok(link) = self.asking_link().await else { return };
        match self.look(&link).await {
            Ok(()) => self.replicate_marker().await,
            Err(fault) if matches!(fault, Fault::Refused(..)) || self.is_demoted() => {
                tracing::error!(server = %self.address, ?fault, "the server is refused");
                for line in &self.lines {
                    if let Some(link) = line.link.fail(fault.clone()) {
                        link.close();
                    }
                }
            }
            Err(fault) => tracing::warn!(server = %self.address, ?fault, "the server cannot be checked"),
        }
    }

    /// Has its replicas, where there are to be any, hold its marker.
    pub(crate) async fn replicate_marker(self: &Arc<Self>) {
        let Common { markers, required, dial, .. } = &*self.common;
        let Some(number) = *lock(&self.marker) else { return };
        let Some(key) = markers.unacknowledged(number) else { return };
        let by = required.get().map(|required| required.of(Some(slot_of(&key)), 0)).unwrap_or_default();
        if by.replicas == 0 {
            return;
        }
        let until = Instant::now() + dial.ack_timeout * 2;
        let replicated = match self.link().await {
            Ok(link) => markers.replicate(&link, number, by, until).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = replicated {
            tracing::debug!(server = %self.address, ?fault, "its replicas do not hold its marker yet");
        }
    }

    /// Whether it is known to have had replicas.
    pub(crate) fn had_replicas(&self) -> bool {
        lock(&self.marker).is_some_and(|number| self.common.markers.had_replicas(number))
    }

    pub(crate) fn is_in_view(&self, is_in_view: bool) {
        self.is_newcomer.store(!is_in_view, Ordering::Release);
    }

    /// Whether no view of the cluster tells what is known of it, though it has slots.
    pub(crate) fn is_newcomer(&self) -> bool {
        self.is_newcomer.load(Ordering::Acquire)
    }

    /// How many replicas it said last that it has.
    pub(crate) fn replicas(&self) -> u8 {
        self.facts().map_or(0, |facts| facts.replicas)
    }

    /// What it said of itself last.
    pub(crate) fn facts(&self) -> Option<Arc<Facts>> {
        lock(&self.facts).clone()
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

    /// Closes all connections.
    pub(crate) fn close(&self) {
        for line in &self.lines {
            if let Some(link) = line.link.reset() {
                link.close();
            }
        }
    }

    async fn connect(&self) -> Result<Arc<Link>, Fault> {
        let link = Link::open(&self.common.dial, &self.address).await?;
        let examined = self.examine(&link).await?;
        check::load_scripts(&link).await?;
        match self.look_for_data(&link, &examined).await {
            // It can be asked where the slots are, and is looked at again before it is given anything.
            Err(Fault::Later(_)) if link.is_open() => {}
            looked => looked?,
        }
        tracing::debug!(server = %self.address, facts = ?examined.facts, "connected");
        Ok(link)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
