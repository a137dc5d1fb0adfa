//! Asking a server to stop what it does for a connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_postgres::config::Host;
#[cfg(feature = "tls")]
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{CancelToken, Config, NoTls};
#[cfg(feature = "tls")]
use tokio_postgres_rustls::MakeRustlsConnect;

#[cfg(feature = "tls")]
use super::tls::Tls;
use crate::error::Failure;

/// For the request itself. A server closes it at once, and pgbouncer when it has passed it on: after 10 s
/// (`cancel_wait_timeout`) at the latest.
const LONGEST: Duration = Duration::from_secs(15);

/// Sends a request to the server that `login` has reached, and waits until it was read. `limit` is for connecting.
pub(super) async fn cancel(
    token: CancelToken,
    login: &Config,
    #[cfg(feature = "tls")] tls: Option<&Tls>,
    limit: Duration,
) -> Result<(), Failure> {
    let port = login.get_ports().first().copied().unwrap_or_default();
    let request = async {
        #[cfg(unix)]
        if let Some(Host::Unix(folder)) = login.get_hosts().first() {
            let stream = in_time(limit, UnixStream::connect(folder.join(format!(".s.PGSQL.{port}")))).await?;
            return Ok(token.cancel_query_raw(UntilClosed(stream), NoTls).await?);
        }
        let Some(address) = login.get_hostaddrs().first() else {
            return Err(Failure::reconnect("it is not known which server was reached"));
        };
        let stream = UntilClosed(in_time(limit, TcpStream::connect((*address, port))).await?);
        #[cfg(feature = "tls")]
        if let (Some(tls), Some(Host::Tcp(name))) = (tls, login.get_hosts().first()) {
            let mut tls = tls.load().await?;
            let tls = <MakeRustlsConnect as MakeTlsConnect<UntilClosed<TcpStream>>>::make_tls_connect(
                &mut tls, name,
            );
            let tls = tls.map_err(|error| Failure::reconnect(error.to_string()))?;
            return Ok(token.cancel_query_raw(stream, Patient(tls)).await?);
        }
        Ok(token.cancel_query_raw(stream, NoTls).await?)
    };
    in_time(LONGEST, async { Ok(request.await) }).await?
}

async fn in_time<T>(limit: Duration, done: impl Future<Output = io::Result<T>>) -> Result<T, Failure> {
    let done = timeout(limit, done).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    done.map_err(|error| Failure::reconnect(error.to_string()))
}

/// A stream that is closed only once the other side has closed it.
///
/// That is how a server says that it has read the request, and `libpq` waits for it. A client that is gone before makes
/// pgbouncer forget the request, or end with all its connections (versions 1.18 and 1.19, its issue 801).
#[derive(Debug)]
struct UntilClosed<S>(S);

impl<S: AsyncRead + Unpin> AsyncRead for UntilClosed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for UntilClosed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut byte = [0];
        loop {
            let mut answer = ReadBuf::new(&mut byte);
            // An error is as good as an end.
            if ready!(Pin::new(&mut self.0).poll_read(context, &mut answer)).is_err()
                || answer.filled().is_empty()
            {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// TLS whose stream, too, is closed only once the other side has closed it.
#[cfg(feature = "tls")]
struct Patient<T>(T);

#[cfg(feature = "tls")]
impl<T, S> TlsConnect<S> for Patient<T>
where
    T: TlsConnect<S>,
    T::Future: Send + 'static,
{
    type Stream = UntilClosed<T::Stream>;
    type Error = T::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, T::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let connecting = self.0.connect(stream);
        Box::pin(async move { connecting.await.map(UntilClosed) })
    }
}

#[cfg(feature = "tls")]
impl<S: TlsStream + Unpin> TlsStream for UntilClosed<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.0.channel_binding()
    }
}
