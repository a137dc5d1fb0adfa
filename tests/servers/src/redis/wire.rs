//! A minimal client: sends one command at a time, as a list of byte strings, and reads any RESP2 reply.

use std::io::{self, Error, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A connection to one server.
///
/// A command whose reply was not read (a dropped future, an elapsed time limit) leaves the connection out of step with
/// its server; it must then be dropped.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    timeout: Duration,
}

impl Connection {
    /// Connects, with `timeout` as the limit for connecting and for each later command.
    ///
    /// # Errors
    /// Those of the socket; [`TimedOut`](ErrorKind::TimedOut).
    pub async fn open(addr: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let stream = in_time(timeout, TcpStream::connect(addr)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), timeout })
    }

    /// Sends a command and waits for its reply. A refusal by the server is an `Ok(Reply::Error)`.
    ///
    /// # Errors
    /// Those of the socket; [`TimedOut`](ErrorKind::TimedOut); [`InvalidData`](ErrorKind::InvalidData) for bytes
    /// that are no reply.
    pub async fn command<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<Reply> {
        let bytes = encode(args);
        in_time(self.timeout, async {
            self.stream.write_all(&bytes).await?;
            read(&mut self.stream, 0).await
        })
        .await
    }
}

/// The reply of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A status, such as `OK`.
    Status(String),
    /// A refusal, such as `MOVED 3999 127.0.0.1:6381`.
    Error(String),
    /// A number.
    Integer(i64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// A null reply.
    Nil,
    /// A list.
    Array(Vec<Reply>),
}

impl Reply {
    /// A status, an error or bytes as text; a number in digits; empty for other replies.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Status(text) | Self::Error(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Nil | Self::Array(_) => String::new(),
        }
    }

    /// The bytes of a bulk reply; empty for other replies.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bulk(bytes) => bytes,
            _ => &[],
        }
    }

    /// The number, where the reply is one.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The elements of a list; empty for other replies.
    #[must_use]
    pub fn elements(&self) -> &[Reply] {
        match self {
            Self::Array(elements) => elements,
            _ => &[],
        }
    }

    /// The value of `field` in a reply of lines `field:value`, such as the reply to `INFO` or `CLUSTER INFO`.
    #[must_use]
    pub fn field(&self, field: &str) -> Option<String> {
        let text = self.text();
        let values = text.lines().filter_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        values.map(str::to_owned).next()
    }
}

/// Deeper than the reply of any command.
const MAX_DEPTH: usize = 16;
/// The largest value that a server accepts by default.
const MAX_BULK: usize = 512 * 1024 * 1024;

fn encode<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        let arg = arg.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn read(
    stream: &mut BufReader<TcpStream>,
    depth: usize,
) -> Pin<Box<dyn Future<Output = io::Result<Reply>> + Send + '_>> {
    Box::pin(async move {
        let line = line(stream).await?;
        let Some((kind, rest)) = line.split_at_checked(1) else { return Err(malformed("an empty line")) };
        match kind {
            "+" => Ok(Reply::Status(rest.to_owned())),
            "-" => Ok(Reply::Error(rest.to_owned())),
            ":" => Ok(Reply::Integer(rest.parse().map_err(|_| malformed(&line))?)),
            "$" | "*" if rest == "-1" => Ok(Reply::Nil),
            "$" => Ok(Reply::Bulk(bulk(stream, length(rest)?).await?)),
            "*" if depth < MAX_DEPTH => {
                let mut elements = Vec::new();
                for _ in 0..length(rest)? {
                    elements.push(read(stream, depth + 1).await?);
                }
                Ok(Reply::Array(elements))
            }
            _ => Err(malformed(&line)),
        }
    })
}

async fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.take(64 * 1024).read_line(&mut line).await?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None if line.is_empty() => Err(ErrorKind::UnexpectedEof.into()),
        None => Err(malformed(&line)),
    }
}

async fn bulk(stream: &mut BufReader<TcpStream>, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(length as u64 + 2).read_to_end(&mut bytes).await?;
    if bytes.len() != length + 2 || !bytes.ends_with(b"\r\n") {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn length(digits: &str) -> io::Result<usize> {
    digits.parse().ok().filter(|length| *length <= MAX_BULK).ok_or_else(|| malformed(digits))
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("no RESP2 reply: {what:?}"))
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}
