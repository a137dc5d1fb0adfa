//! Proxies that partition a cluster where the machine allows no network namespaces.
//!
//! Every node announces the ports of a proxy in place of its own, and connects from the address of its side, so that
//! the proxies know which connections cross. They always forward what callers send, since callers inside and outside
//! have the same address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 101, 1));
pub(crate) const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 102, 1));

/// The proxies of a cluster. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Proxies {
    cut: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// The ports at which a proxy listens for clients and for other nodes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) clients: u16,
    pub(crate) bus: u16,
}

impl Proxies {
    pub(crate) fn new() -> Self {
        Self { cut: watch::Sender::new(false), tasks: JoinSet::new() }
    }

    /// Starts a proxy for the node that listens at `node`, and for other nodes at a port 10,000 higher.
    pub(crate) async fn add(&mut self, node: SocketAddr) -> Ports {
        let clients = self.listen(node).await;
        let bus = self.listen(SocketAddr::new(node.ip(), node.port() + 10_000)).await;
        Ports { clients, bus }
    }

    /// Nothing crosses from now on: what is sent is lost, and connections stay open.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// New connections cross again. Those that were cut are closed, and what was sent on them is lost.
    pub(crate) fn heal(&self) {
        self.cut.send_replace(false);
    }

    async fn listen(&mut self, to: SocketAddr) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        self.tasks.spawn(serve(listener, to, self.cut.subscribe()));
        port
    }
}

async fn serve(listener: TcpListener, to: SocketAddr, cut: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, peer) = accepted.unwrap();
                connections.spawn(forward(stream, peer.ip(), to, cut.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn forward(mut from: TcpStream, side: IpAddr, address: SocketAddr, mut cut: watch::Receiver<bool>) {
    let crosses = [INSIDE, OUTSIDE].contains(&side) && side != address.ip();
    let through = async {
        let socket = TcpSocket::new_v4()?;
        // A master identifies its replicas by the address from which they connect.
        socket.bind(SocketAddr::new(side, 0))?;
        let mut to = socket.connect(address).await?;
        from.set_nodelay(true)?;
        to.set_nodelay(true)?;
        copy_bidirectional(&mut from, &mut to).await
    };
    if !crosses {
        let _ = through.await;
        return;
    }
    let is_cut = async {
        let mut seen = cut.clone();
        let _ = seen.wait_for(|cut| *cut).await;
    };
    tokio::select! {
        _ = through => return,
        () = is_cut => {}
    }
    // Kept open without forwarding anything.
    let _ = cut.wait_for(|cut| !*cut).await;
}
