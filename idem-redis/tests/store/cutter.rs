//! A way to a server that can be cut at the worst moments.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use idem_conformance::redis::Node;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// When a connection is cut that carries a certain command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before the server gets it.
    Before,
    /// Once the server has answered it, before the client gets the answer.
    After,
}

struct Order {
    word: &'static str,
    cut: Cut,
    times: u32,
}

/// Hands on what comes until it is told to cut. Ends with all its connections when it is dropped.
pub(crate) struct Cutter {
    addr: SocketAddr,
    order: Arc<Mutex<Option<Order>>>,
    _connections: JoinSet<()>,
}

impl Cutter {
    pub(crate) async fn before(server: &Node) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, to) = (listener.local_addr().unwrap(), server.addr());
        let order = Arc::new(Mutex::new(None));
        let mut connections = JoinSet::new();
        connections.spawn(serve(listener, to, Arc::clone(&order)));
        Self { addr, order, _connections: connections }
    }

    pub(crate) fn node(&self) -> Node {
        Node::new(self.addr)
    }

    /// Cuts the next `times` connections that carry the command `word`.
    pub(crate) fn cut(&self, word: &'static str, cut: Cut, times: u32) {
        *self.order.lock().unwrap() = Some(Order { word, cut, times });
    }

    /// Whether every cut that was ordered has been made.
    pub(crate) fn is_done(&self) -> bool {
        self.order.lock().unwrap().is_none()
    }

    pub(crate) fn heal(&self) {
        *self.order.lock().unwrap() = None;
    }
}

async fn serve(listener: TcpListener, to: SocketAddr, order: Arc<Mutex<Option<Order>>>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let order = Arc::clone(&order);
        connections.spawn(async move {
            let _ = carry(client, to, &order).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn carry(mut client: TcpStream, to: SocketAddr, order: &Mutex<Option<Order>>) -> std::io::Result<()> {
    let mut server = TcpStream::connect(to).await?;
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            length = client.read(&mut asked) => {
                let request = &asked[..length?];
                if request.is_empty() {
                    return Ok(());
                }
                match cuts(order, request) {
                    None => server.write_all(request).await?,
                    Some(Cut::Before) => return Ok(()),
                    Some(Cut::After) => {
                        server.write_all(request).await?;
                        let _ = server.read(&mut answered).await?;
                        return Ok(());
                    }
                }
            }
            length = server.read(&mut answered) => {
                let answer = &answered[..length?];
                if answer.is_empty() {
                    return Ok(());
                }
                client.write_all(answer).await?;
            }
        }
    }
}

/// Takes one cut off the order, where this request is meant.
fn cuts(order: &Mutex<Option<Order>>, request: &[u8]) -> Option<Cut> {
    let mut order = order.lock().unwrap();
    let ordered = order.as_mut()?;
    let word = format!("\r\n{}\r\n", ordered.word);
    if !request.windows(word.len()).any(|bytes| bytes == word.as_bytes()) {
        return None;
    }
    let cut = ordered.cut;
    ordered.times -= 1;
    if ordered.times == 0 {
        *order = None;
    }
    Some(cut)
}
