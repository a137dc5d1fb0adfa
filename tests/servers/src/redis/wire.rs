//! A small client: one command at a time, as a list of byte strings, and any RESP2 reply.

use std::io::{self, Error, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A connection to one server.
///
/// A command that did not come to its reply (a dropped future, an elapsed time limit) leaves the connection out of
/// step with its server: drop it then.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    patience: Duration,
}

impl Connection {
    /// Connects, and gives up after `patience`; each command is later given as long.
    ///
    /// # Errors
    /// Those of the socket; [`TimedOut`](ErrorKind::TimedOut).
    pub async fn open(addr: SocketAddr, patience: Duration) -> io::Result<Self> {
        let stream = in_time(patience, TcpStream::connect(addr)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), patience })
    }

    /// Sends a command and waits for its reply. What the server refuses is an `Ok(Reply::Error)`.
    ///
    /// # Errors
    /// Those of the socket; [`TimedOut`](ErrorKind::TimedOut); [`InvalidData`](ErrorKind::InvalidData) for bytes
    /// that are no reply.
    pub async fn command<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<Reply> {
        let bytes = encode(args);
        in_time(self.patience, async {
            self.stream.write_all(&bytes).await?;
            read(&mut self.stream, 0).await
        })
        .await
    }
}

/// What a server answers.
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
    /// Nothing.
    Nil,
    /// A list.
    Array(Vec<Reply>),
}

impl Reply {
    /// Status, error or bytes as text; a number in digits; empty for the others.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Status(text) | Self::Error(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Nil | Self::Array(_) => String::new(),
        }
    }

    /// The bytes of a bulk reply; none of any other.
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

    /// The elements of a list; none of any other reply.
    #[must_use]
    pub fn elements(&self) -> &[Reply] {
        match self {
            Self::Array(elements) => elements,
            _ => &[],
        }
    }

    /// The value of `field` in a reply made of lines `field:value`, as `INFO` and `CLUSTER INFO` give it.
    #[must_use]
    pub fn field(&self, field: &str) -> Option<String> {
        let text = self.text();
        let values = text.lines().filter_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        values.map(str::to_owned).next()
    }
}

/// Deeper than any reply of the commands there are.
const DEEPEST: usize = 16;
/// What a server accepts as one value by default.
const LARGEST: usize = 512 * 1024 * 1024;

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
            "*" if depth < DEEPEST => {
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
    digits.parse().ok().filter(|length| *length <= LARGEST).ok_or_else(|| malformed(digits))
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("no RESP2 reply: {what:?}"))
}

async fn in_time<T>(patience: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(patience, work).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}
