//! Connections that send their next request as soon as they are answered.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use hdrhistogram::Histogram;
use idem_benches::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The kind of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The first request with a new key.
    Fresh,
    /// A retry with one of the few keys that its connection has sent before.
    Replay,
}

impl Asked {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fresh => "first execution",
            Self::Replay => "replay",
        }
    }

    fn key(self, turn: u64) -> u64 {
        match self {
            Self::Fresh => turn,
            Self::Replay => turn % 100,
        }
    }
}

pub(crate) struct Load {
    connections: Vec<Connection>,
    asked: Asked,
}

struct Connection {
    stream: TcpStream,
    name: String,
    turn: u64,
    request: Vec<u8>,
    answer: Vec<u8>,
}

pub(crate) struct Round {
    pub(crate) per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

impl Load {
    /// Opens the connections, and executes the requests that are to be replayed.
    pub(crate) async fn open(addr: SocketAddr, connections: usize, asked: Asked) -> Result<Self> {
        let mut opened = Vec::new();
        for number in 0..connections {
            let stream = TcpStream::connect(addr).await?;
            stream.set_nodelay(true)?;
            let name = format!("{}-{number}", asked.name().replace(' ', "-"));
            let (request, answer) = (Vec::new(), vec![0; 4_096]);
            let mut connection = Connection { stream, name, turn: 0, request, answer };
            if asked == Asked::Replay {
                for _ in 0..100 {
                    connection.ask(asked).await?;
                }
            }
            opened.push(connection);
        }
        Ok(Self { connections: opened, asked })
    }

    pub(crate) async fn round(&mut self, length: Duration) -> Result<Round> {
        let (begun, asked) = (Instant::now(), self.asked);
        let mut asking = JoinSet::<Result<(Connection, Histogram<u64>)>>::new();
        for mut connection in self.connections.drain(..) {
            asking.spawn(async move {
                let mut times = Histogram::<u64>::new(3)?;
                while begun.elapsed() < length {
                    let sent = Instant::now();
                    connection.ask(asked).await?;
                    times.record(u64::try_from(sent.elapsed().as_nanos())?)?;
                }
                Ok((connection, times))
            });
        }
        let mut all = Histogram::<u64>::new(3)?;
        while let Some(ended) = asking.join_next().await {
            let (connection, times) = ended??;
            self.connections.push(connection);
            all.add(&times)?;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of a few seconds")]
        let per_s = all.len() as f64 / begun.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "times of a few seconds")]
        let micros = |quantile| all.value_at_quantile(quantile) as f64 / 1_000.0;
        Ok(Round { per_s, p50_us: micros(0.5), p99_us: micros(0.99) })
    }
}

impl Connection {
    /// # Errors
    /// When the answer is not a 200.
    async fn ask(&mut self, asked: Asked) -> Result<()> {
        const BODY: &str = r#"{"cents":250}"#;
        let key = asked.key(self.turn);
        self.turn += 1;
        self.request.clear();
        write!(
            self.request,
            "POST /payments HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             idempotency-key: \"{}-{key}\"\r\ncontent-length: {}\r\n\r\n{BODY}",
            self.name,
            BODY.len()
        )?;
        self.stream.write_all(&self.request).await?;
        let mut received = 0;
        loop {
            let read = self.stream.read(&mut self.answer[received..]).await?;
            if read == 0 {
                return Err("the server closed the connection, or its answer is too long".into());
            }
            received += read;
            let Some(head) = self.answer[..received].windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
                continue;
            };
            if !self.answer.starts_with(b"HTTP/1.1 200") {
                return Err(String::from_utf8_lossy(&self.answer[..received]).into());
            }
            if received == head + 4 + crate::app::BODY {
                return Ok(());
            }
        }
    }
}
