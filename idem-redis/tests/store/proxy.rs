//! A proxy in front of a server. At chosen requests it delays, answers in the server's place, or ends the connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use idem_servers::redis::Node;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What the proxy does with a piece of a request.
pub(crate) enum Act {
    Pass,
    /// Passes it on after a delay.
    Late(Duration),
    /// Passes it on once the gate is open.
    Gate(watch::Receiver<bool>),
    /// Ends the connection before the server gets it.
    End,
    /// Passes it on, drops the answer, and ends the connection.
    LoseAnswer,
    /// As `LoseAnswer`, but runs this command before it ends the connection.
    LoseAnswerAndRun(&'static [&'static str]),
    /// Answers this in place of the server, which does not get the request.
    AnswerInstead(&'static [u8]),
    /// Sends this to the client first, and then passes the request on.
    AnswerFirst(Vec<u8>),
    /// Sends `first` and then `again` without end in place of the server. `taken` counts the bytes that the client took.
    AnswerEndlessly {
        first: Vec<u8>,
        again: Vec<u8>,
        taken: Arc<AtomicUsize>,
    },
}

/// A proxy. When it is dropped, all its connections end.
pub(crate) struct Proxy {
    addr: SocketAddr,
    _connections: JoinSet<()>,
}

impl Proxy {
    /// `act` decides about each piece that arrives, given the number of its connection (from 1).
    pub(crate) async fn start(
        server: &Node,
        act: impl Fn(usize, &[u8]) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, server, act) = (listener.local_addr().unwrap(), server.clone(), Arc::new(act));
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            let (mut carried, mut number) = (JoinSet::new(), 0);
            while let Ok((client, _)) = listener.accept().await {
                number += 1;
                let (server, act) = (server.clone(), Arc::clone(&act));
                carried.spawn(async move {
                    let _ = carry(client, server, number, &*act).await;
                });
                while carried.try_join_next().is_some() {}
            }
        });
        Self { addr, _connections: connections }
    }

    pub(crate) fn node(&self) -> Node {
        Node::new(self.addr)
    }
}

pub(crate) fn has(request: &[u8], word: &str) -> bool {
    request.windows(word.len()).any(|bytes| bytes == word.as_bytes())
}

async fn carry(
    mut client: TcpStream,
    node: Node,
    number: usize,
    act: &(impl Fn(usize, &[u8]) -> Act + Send + Sync),
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(node.addr()).await?;
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            length = client.read(&mut asked) => {
                let request = &asked[..length?];
                if request.is_empty() {
                    return Ok(());
                }
                match act(number, request) {
                    Act::Pass => {}
                    Act::Late(pause) => sleep(pause).await,
                    Act::Gate(mut open) => {
                        let _ = open.wait_for(|open| *open).await;
                    }
                    Act::End => return Ok(()),
                    lose @ (Act::LoseAnswer | Act::LoseAnswerAndRun(_)) => {
                        server.write_all(request).await?;
                        let _ = server.read(&mut answered).await?;
                        if let Act::LoseAnswerAndRun(command) = lose {
                            node.run(command).await;
                        }
                        return Ok(());
                    }
                    Act::AnswerInstead(reply) => {
                        client.write_all(reply).await?;
                        continue;
                    }
                    Act::AnswerFirst(reply) => client.write_all(&reply).await?,
                    Act::AnswerEndlessly { first, again, taken } => {
                        client.write_all(&first).await?;
                        loop {
                            client.write_all(&again).await?;
                            taken.fetch_add(again.len(), Ordering::Relaxed);
                        }
                    }
                }
                server.write_all(request).await?;
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
