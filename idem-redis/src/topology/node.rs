//! One server and the connections to it: made when they are needed, and again when they have broken.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use idem_core::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Address;
use crate::connection::dial::Dial;
use crate::connection::link::Link;
use crate::protocol::fault::{Cause, Fault};
use crate::topology::check::{self, Demands, Facts};
use crate::topology::time::ServerTime;

/// How long a server that could not be connected to is left alone.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Node {
    address: Address,
    dial: Arc<Dial>,
    demands: Demands,
    time: Arc<ServerTime>,
    /// Those of calls, and at last that of notifications.
    lines: Box<[watch::Sender<Line>]>,
    next: AtomicUsize,
    /// What its clock showed, and when.
    clock: Mutex<Option<(u64, Instant)>>,
}

/// One connection, or the lack of it.
#[derive(Clone)]
enum Line {
    Idle,
    Connecting,
    Open(Arc<Link>, Facts),
    Failed(Fault, Instant),
}

impl Node {
    pub(crate) fn new(
        address: Address,
        dial: Arc<Dial>,
        demands: Demands,
        time: Arc<ServerTime>,
        connections: usize,
    ) -> Arc<Self> {
        let lines = (0..=connections.max(1)).map(|_| watch::Sender::new(Line::Idle)).collect();
        Arc::new(Self {
            address,
            dial,
            demands,
            time,
            lines,
            next: AtomicUsize::new(0),
            clock: Mutex::default(),
        })
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// A connection that is open already.
    pub(crate) fn open_link(&self) -> Option<Arc<Link>> {
        match &*self.lines[self.next()].borrow() {
            Line::Open(link, _) if link.is_open() => Some(Arc::clone(link)),
            _ => None,
        }
    }

    /// A connection that is open, made now if need be. Connecting goes on when the caller leaves.
    pub(crate) async fn link(self: &Arc<Self>) -> Result<Arc<Link>, Fault> {
        Ok(self.checked_link().await?.0)
    }

    /// The same, with what the server said of itself when the connection was made.
    pub(crate) async fn checked_link(self: &Arc<Self>) -> Result<(Arc<Link>, Facts), Fault> {
        self.line(self.next()).await
    }

    /// The connection for notifications, made when somebody waits. No call may share it: servers bound what waits to be
    /// sent to those who have subscribed to anything, and would end it over a few large answers
    /// (`client-output-buffer-limit pubsub`).
    pub(crate) async fn notifier(self: &Arc<Self>) -> Result<Arc<Link>, Fault> {
        Ok(self.line(self.calls()).await?.0)
    }

    async fn line(self: &Arc<Self>, number: usize) -> Result<(Arc<Link>, Facts), Fault> {
        if let Some(open) = self.open_line(number) {
            return Ok(open);
        }
        let mut changes = self.lines[number].subscribe();
        if self.lines[number].send_if_modified(Line::begin) {
            // Before it is spawned: a runtime may end without having begun with it.
            let connecting = Connecting { node: Arc::clone(self), number, outcome: None };
            tokio::spawn(connecting.run());
        }
        let settled = changes.wait_for(|line| !matches!(line, Line::Connecting)).await;
        match settled.as_deref() {
            Ok(Line::Open(link, facts)) => Ok((Arc::clone(link), facts.clone())),
            Ok(Line::Failed(fault, _)) => Err(fault.clone()),
            // The sender lives as long as this node.
            Ok(Line::Idle | Line::Connecting) | Err(_) => {
                Err(Fault::Later(Cause::new(format!("{} is not connected", self.address))))
            }
        }
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

    fn open_line(&self, number: usize) -> Option<(Arc<Link>, Facts)> {
        match &*self.lines[number].borrow() {
            Line::Open(link, facts) if link.is_open() => Some((Arc::clone(link), facts.clone())),
            _ => None,
        }
    }

    /// Asks the server again what it is; one that is not what it must be loses its connections.
    pub(crate) async fn check(self: &Arc<Self>) {
        let Ok(link) = self.link().await else { return };
        let checked = check::server(&link, self.demands).await;
        if let Ok(facts) = &checked {
            self.learn(facts);
        }
        if let Err(fault @ Fault::Refused(..)) = checked {
            tracing::error!(server = %self.address, ?fault, "the server is refused");
            for line in &self.lines {
                if let Line::Open(link, _) = line.send_replace(Line::Failed(fault.clone(), Instant::now())) {
                    link.close();
                }
            }
        }
    }

    fn learn(&self, facts: &Facts) {
        self.time.learn(facts.time);
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some((facts.time, facts.time_at));
    }

    /// The server's time, as right as half of what a `TIME` took, and as its clock went on since then.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        let (time, at) = (*self.clock.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(Timestamp::from_micros(time) + at.elapsed())
    }

    /// Closes all connections.
    pub(crate) fn close(&self) {
        for line in &self.lines {
            if let Line::Open(link, _) = line.send_replace(Line::Idle) {
                link.close();
            }
        }
    }

    async fn try_connect(&self) -> Result<(Arc<Link>, Facts), Fault> {
        let link = Link::open(&self.dial, &self.address).await?;
        let facts = check::server(&link, self.demands).await?;
        check::load_scripts(&link).await?;
        self.learn(&facts);
        link.identify(facts.identity.clone());
        tracing::debug!(server = %self.address, ?facts, "connected");
        Ok((link, facts))
    }
}

/// Says what came of it, also when the runtime ends that connects.
struct Connecting {
    node: Arc<Node>,
    number: usize,
    outcome: Option<Line>,
}

impl Connecting {
    async fn run(mut self) {
        self.outcome = Some(match self.node.try_connect().await {
            Ok((link, facts)) => Line::Open(link, facts),
            Err(fault) => {
                tracing::warn!(server = %self.node.address, ?fault, "cannot connect");
                Line::Failed(fault, Instant::now())
            }
        });
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        // Nobody is to blame, and nobody has to wait.
        let line = self.outcome.take().unwrap_or(Line::Idle);
        self.node.lines[self.number].send_replace(line);
    }
}

impl Line {
    /// Begins to connect, where that is due.
    fn begin(&mut self) -> bool {
        let due = match self {
            Self::Idle => true,
            Self::Connecting => false,
            Self::Open(link, _) => !link.is_open(),
            Self::Failed(_, at) => at.elapsed() >= PAUSE,
        };
        if due {
            *self = Self::Connecting;
        }
        due
    }
}
