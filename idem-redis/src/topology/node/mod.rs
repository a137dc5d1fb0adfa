//! One server and the connections to it: made when they are needed, and again when they have broken.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use idem_core::{ErrorKind, Timestamp};
use tokio::time::Instant;

use crate::Address;
use crate::connection::dial::Dial;
use crate::connection::link::Link;
use crate::connection::single_flight::SingleFlight;
use crate::protocol::fault::{Cause, Fault};
use crate::topology::check::{self, Demands, Facts};
use crate::topology::discover;
use crate::topology::marker::Markers;
use crate::topology::required::Required;
use crate::topology::shards::Shards;
use crate::topology::slots::{View, slot_of};
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
    lines: Box<[SingleFlight<Arc<Link>>]>,
    next: AtomicUsize,
    /// What it said of itself last.
    facts: Mutex<Option<Arc<Facts>>>,
    /// The number of its marker, if it is to have one.
    marker: Mutex<Option<u16>>,
    /// Held while it is looked at for calls: by one of them for all. When it was last seen to be a replica.
    looking: tokio::sync::Mutex<Option<Instant>>,
}

impl Node {
    pub(crate) fn new(address: Address, common: Arc<Common>) -> Arc<Self> {
        let lines =
            (0..=common.connections.max(1)).map(|_| SingleFlight::new(common.dial.longest())).collect();
        Arc::new(Self {
            address,
            common,
            lines,
            next: AtomicUsize::new(0),
            facts: Mutex::default(),
            marker: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
        })
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// A connection for calls that is open already.
    pub(crate) fn open_link(&self) -> Option<Arc<Link>> {
        self.open_line(self.next()).filter(|link| link.has_data())
    }

    /// A connection for calls, made now if need be. Connecting goes on when the caller leaves.
    pub(crate) async fn link(self: &Arc<Self>) -> Result<Arc<Link>, Fault> {
        let link = self.line(self.next()).await?;
        if link.has_data() {
            return Ok(link);
        }
        let mut replica_since = self.looking.lock().await;
        if !link.has_data() && replica_since.is_none_or(|since| since.elapsed() >= PAUSE) {
            *replica_since = None;
            self.examine(&link).await?;
            self.look_for_data(&link).await?;
        }
        if link.has_data() {
            return Ok(link);
        }
        replica_since.get_or_insert_with(Instant::now);
        Err(Fault::Moved { to: None })
    }

    /// It has become master, and may not have all that it is believed to have: it is looked at again before it serves calls.
    pub(crate) fn became_master(&self) {
        for link in self.lines.iter().filter_map(SingleFlight::get) {
            link.doubt_data();
        }
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
        self.lines[number].get_or_make(|link| link.is_open(), PAUSE, make).await.map_err(|fault| {
            fault.unwrap_or_else(|| Fault::Later(Cause::new(format!("{} is not connected", self.address))))
        })
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
        self.lines[number].get().filter(|link| link.is_open())
    }

    /// Asks the server again what it is; one that is not what it must be loses its connections.
    pub(crate) async fn check(self: &Arc<Self>) {
        let Ok(link) = self.asking_link().await else { return };
        let checked = match self.examine(&link).await {
            Ok(_) => self.look_for_data(&link).await,
            Err(fault) => Err(fault),
        };
        match checked {
            Ok(()) => self.replicate_marker().await,
            Err(fault) if matches!(fault, Fault::Refused(..)) || self.is_demoted() => {
                tracing::error!(server = %self.address, ?fault, "the server is refused");
                for line in &self.lines {
                    if let Some(link) = line.fail(fault.clone()) {
                        link.close();
                    }
                }
            }
            Err(fault) => tracing::warn!(server = %self.address, ?fault, "the server cannot be checked"),
        }
    }

    /// Whether it is what it must be, and still that.
    async fn examine(&self, link: &Link) -> Result<Arc<Facts>, Fault> {
        let Common { demands, markers, .. } = &*self.common;
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
        // A server that evicts may evict that, too.
        let has_marker = facts.is_master && !facts.evicts;
        *lock(&self.marker) = if has_marker { markers.of(&slots) } else { None };
        Ok(facts)
    }

    /// Whether it still has what it was given.
    async fn look_for_data(&self, link: &Link) -> Result<(), Fault> {
        let marker = *lock(&self.marker);
        if let Some(number) = marker {
            let is_durable = self.facts().is_some_and(|facts| facts.keeps.is_durable());
            self.common.markers.look(link, number, is_durable).await?;
        }
        // A replica may become master at any time, and has its marker only then.
        if self.facts().is_some_and(|facts| facts.is_master) {
            link.found_data();
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

    /// Has its replicas, where there are to be any, hold its marker.
    pub(crate) async fn replicate_marker(self: &Arc<Self>) {
        let Common { markers, required, dial, .. } = &*self.common;
        let Some(number) = *lock(&self.marker) else { return };
        let Some(key) = markers.unacknowledged(number) else { return };
        let by = required.get().map(|required| required.of(slot_of(&key))).unwrap_or_default();
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

    /// What it said of itself last.
    pub(crate) fn facts(&self) -> Option<Arc<Facts>> {
        lock(&self.facts).clone()
    }

    /// Whether it is a replica, where nothing but a master will do. In a cluster its nodes say themselves where a key is.
    pub(crate) fn is_demoted(&self) -> bool {
        !self.common.demands.cluster && self.facts().is_some_and(|facts| !facts.is_master)
    }

    fn learn(&self, facts: &Arc<Facts>) {
        self.common.time.learn(facts.time);
        let mut last = lock(&self.facts);
        if last.as_ref().is_some_and(|last| last.keeps != facts.keeps) {
            tracing::warn!(server = %self.address, "when it is started again, the server keeps {}", facts.keeps);
        }
        *last = Some(Arc::clone(facts));
    }

    /// The server's time, as right as half of what a `TIME` took, and as its clock went on since then.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        let facts = self.facts()?;
        Some(Timestamp::from_micros(facts.time) + facts.time_at.elapsed())
    }

    /// Closes all connections.
    pub(crate) fn close(&self) {
        for line in &self.lines {
            if let Some(link) = line.reset() {
                link.close();
            }
        }
    }

    async fn connect(&self) -> Result<Arc<Link>, Fault> {
        let link = Link::open(&self.common.dial, &self.address).await?;
        let facts = self.examine(&link).await?;
        check::load_scripts(&link).await?;
        link.identify(facts.identity.clone());
        match self.look_for_data(&link).await {
            // It can be asked where the slots are, and is looked at again before it is given anything.
            Err(Fault::Later(_)) if link.is_open() => {}
            looked => looked?,
        }
        tracing::debug!(server = %self.address, ?facts, "connected");
        Ok(link)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
