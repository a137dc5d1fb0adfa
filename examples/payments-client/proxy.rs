//! A very unreliable network: it loses requests and answers, delays them, and sends requests twice.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use crate::Result;

const MOST_CONNECTIONS: usize = 256;
const LONGEST_REQUEST: usize = 65_536;

pub(crate) struct Proxy {
    addr: SocketAddr,
    faults: Arc<Faults>,
    task: AbortHandle,
}

#[derive(Default)]
struct Faults {
    requests: AtomicU64,
    requests_dropped: AtomicU64,
    answers_dropped: AtomicU64,
    delayed: AtomicU64,
    doubled: AtomicU64,
}

impl Proxy {
    /// Starts a proxy in front of `server`, which runs until it is dropped.
    pub(crate) async fn start(server: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let faults = Arc::new(Faults::default());
        let task = tokio::spawn(accept(listener, server.into(), Arc::clone(&faults))).abort_handle();
        Ok(Self { addr, faults, task })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn faults(&self) -> String {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let faults = &*self.faults;
        format!(
            "{} requests, of which {} were dropped, {} doubled, {} delayed; {} answers were dropped",
            count(&faults.requests),
            count(&faults.requests_dropped),
            count(&faults.doubled),
            count(&faults.delayed),
            count(&faults.answers_dropped),
        )
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: Arc<str>, faults: Arc<Faults>) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        let Ok((client, _)) = listener.accept().await else { continue };
        let (server, faults) = (Arc::clone(&server), Arc::clone(&faults));
        tokio::spawn(async move {
            // A connection that fails is one more fault.
            let _ = forward(client, &server, &faults).await;
            drop(place);
        });
    }
}

async fn forward(mut client: TcpStream, server: &str, faults: &Faults) -> io::Result<()> {
    let request = read_request(&mut client).await?;
    faults.requests.fetch_add(1, Ordering::Relaxed);
    if happens(20, &faults.delayed)? {
        tokio::time::sleep(Duration::from_millis(u64::from(getrandom::u32()? % 50))).await;
    }
    if happens(10, &faults.requests_dropped)? {
        return Ok(());
    }
    let answer = if happens(15, &faults.doubled)? {
        let (first, second) = tokio::join!(ask(server, &request), ask(server, &request));
        first.or(second)?
    } else {
        ask(server, &request).await?
    };
    if happens(15, &faults.answers_dropped)? {
        return Ok(());
    }
    client.write_all(&answer).await
}

/// True in `percent` of cases, which are counted.
fn happens(percent: u32, counter: &AtomicU64) -> io::Result<bool> {
    let happens = getrandom::u32()? % 100 < percent;
    counter.fetch_add(u64::from(happens), Ordering::Relaxed);
    Ok(happens)
}

async fn ask(server: &str, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut connection = TcpStream::connect(server).await?;
    connection.write_all(request).await?;
    let mut answer = Vec::new();
    // The requests ask the server to close the connection after the answer.
    connection.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Reads one whole request, with a `Content-Length`.
async fn read_request(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        if client.read_buf(&mut request).await? == 0 || request.len() > LONGEST_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let Some(head) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
        if request.len() >= head + 4 + length {
            return Ok(request);
        }
    }
}
