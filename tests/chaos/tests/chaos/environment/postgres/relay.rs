//! A relay between callers and their server, which loses or delays what is sent.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What happens to what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Whole,
    /// Nothing arrives. Connections stay open, and those that lost something are closed once the link is whole.
    Cut,
    /// Calls arrive and are carried out; their answers are lost.
    WithoutAnswers,
    /// Everything arrives once the link is whole, however late that is.
    Late,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToCaller,
}

/// Dropping it ends its connections.
#[derive(Debug)]
pub(crate) struct Relay {
    addr: SocketAddr,
    link: watch::Sender<Link>,
    held: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Relay {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (link, held, mut tasks) = (watch::Sender::new(Link::Whole), Arc::default(), JoinSet::new());
        tasks.spawn(serve(listener, server, link.subscribe(), Arc::clone(&held)));
        Self { addr, link, held, _tasks: tasks }
    }

    /// Where callers find it.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn set(&self, link: Link) {
        self.link.send_replace(link);
    }

    /// How many bytes it lost or delayed until now.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

async fn serve(listener: TcpListener, server: SocketAddr, link: watch::Receiver<Link>, held: Arc<AtomicU64>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (from, _) = accepted.unwrap();
                connections.spawn(connection(from, server, link.clone(), Arc::clone(&held)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Ends with either direction: both are of one connection.
async fn connection(from: TcpStream, server: SocketAddr, link: watch::Receiver<Link>, held: Arc<AtomicU64>) {
    let Ok(to) = TcpStream::connect(server).await else { return };
    let _ = (from.set_nodelay(true), to.set_nodelay(true));
    let ((from_caller, to_caller), (from_server, to_server)) = (from.into_split(), to.into_split());
    tokio::select! {
        () = forward(from_caller, to_server, Direction::ToServer, link.clone(), &held) => {}
        () = forward(from_server, to_caller, Direction::ToCaller, link, &held) => {}
    }
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
    mut link: watch::Receiver<Link>,
    held: &AtomicU64,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        let now = *link.borrow_and_update();
        let stops = match now {
            Link::Whole => false,
            Link::WithoutAnswers => direction == Direction::ToCaller,
            Link::Cut | Link::Late => true,
        };
        if stops {
            held.fetch_add(read as u64, Ordering::Relaxed);
            if link.wait_for(|link| *link == Link::Whole).await.is_err() || now != Link::Late {
                return;
            }
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
