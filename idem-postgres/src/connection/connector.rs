//! Connecting to the one of several servers that takes writes.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use idem_core::ErrorKind;
use tokio::net::lookup_host;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_postgres::config::{ChannelBinding, SslMode as Negotiation, TargetSessionAttrs};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Socket};

use super::cancel;
use super::login_failure;
use super::ownership::{self, Ownership, SessionMark};
use super::session::Session;
use super::timelines::Timelines;
#[cfg(feature = "tls")]
use super::tls::Tls;
use crate::config::address::Address;
use crate::config::postgres_config::PostgresConfig;
use crate::config::ssl_mode::SslMode;
use crate::error::{Failure, Recovery, chain};

/// Requests to cancel that are under way at once. To a server that hangs they take long.
const MOST_CANCELLING: usize = 64;

/// Opens connections.
#[derive(Debug, Clone)]
pub(crate) struct Connector(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    servers: Vec<(Address, Config)>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    /// For a socket, and again for TLS and logging in.
    limit: Duration,
    timelines: Timelines,
    acks: u8,
    /// Requests to cancel that are on their way; more are not sent.
    cancelling: Semaphore,
}

/// A connection that is logged in.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) client: Client,
    pub(crate) session: Session,
    pub(crate) ownership: Ownership,
    /// Which server was reached, for [`Connector::cancel`].
    pub(crate) login: Config,
}

/// What the server says unasked. Whoever polls it drives the connection.
type Messages =
    Box<dyn FnMut(&mut Context<'_>) -> Poll<Option<Result<AsyncMessage, tokio_postgres::Error>>> + Send>;

impl Connector {
    pub(crate) fn new(config: &PostgresConfig) -> Self {
        let servers = config.servers.iter().map(|server| (server.clone(), login(config, server))).collect();
        Self(Arc::new(Inner {
            servers,
            #[cfg(feature = "tls")]
            tls: Tls::of(config),
            limit: config.connect_timeout,
            timelines: Timelines::default(),
            acks: config.acks,
            cancelling: Semaphore::new(MOST_CANCELLING),
        }))
    }

    /// A connection of its own, which ends when the client is dropped. `hear` gets what the server says unasked, before
    /// any answer that came after it.
    pub(crate) async fn connect(
        &self,
        mut hear: impl FnMut(AsyncMessage) + Send + 'static,
    ) -> Result<Opened, Failure> {
        let (opened, mut messages) = self.first().await?;
        tokio::spawn(async move {
            loop {
                match poll_fn(&mut messages).await {
                    None => break,
                    Some(Ok(message)) => hear(message),
                    Some(Err(error)) => {
                        tracing::debug!(error = chain(&error), "a connection has ended");
                        break;
                    }
                }
            }
        });
        Ok(opened)
    }

    /// Asks the server that was reached by `login` to stop what it does for `client`, as best it can.
    pub(crate) async fn cancel(&self, client: &Client, login: &Config) {
        let Ok(_sending) = self.0.cancelling.try_acquire() else { return };
        let cancelled = cancel::cancel(
            client.cancel_token(),
            login,
            #[cfg(feature = "tls")]
            self.0.tls.as_ref(),
            self.0.limit,
        );
        let cancelled = cancelled.await;
        tracing::debug!(?cancelled, "a statement was given up");
    }

    /// A connection to the first server that takes writes.
    async fn first(&self) -> Result<(Opened, Messages), Failure> {
        let mut failures = Vec::new();
        for (server, login) in &self.0.servers {
            match self.open(server, login).await {
                Ok(opened) => return Ok(opened),
                Err(Failure { recovery, message }) => {
                    failures.push(Failure { recovery, message: format!("{server}: {message}") });
                }
            }
        }
        Err(together(&failures))
    }

    async fn open(&self, server: &Address, login: &Config) -> Result<(Opened, Messages), Failure> {
        if server.is_socket() {
            return self.log_in(login).await;
        }
        let mut failures = Vec::new();
        for address in self.addresses(server).await? {
            let mut login = login.clone();
            match self.log_in(login.hostaddr(address)).await {
                Ok(opened) => return Ok(opened),
                Err(failure) => failures.push(failure),
            }
        }
        if failures.is_empty() {
            return Err(Failure::reconnect("its name stands for no address"));
        }
        Err(together(&failures))
    }

    async fn addresses(&self, server: &Address) -> Result<Vec<IpAddr>, Failure> {
        let found = timeout(self.0.limit, lookup_host((server.host.as_str(), server.port))).await;
        let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let found =
            found.map_err(|error| Failure::reconnect(format!("its name cannot be resolved: {error}")))?;
        Ok(found.map(|address| address.ip()).collect())
    }

    /// Connects to one address, and logs in.
    async fn log_in(&self, login: &Config) -> Result<(Opened, Messages), Failure> {
        let logged_in = async {
            #[cfg(feature = "tls")]
            if let Some(tls) = self.0.tls.as_ref().filter(|_| login.get_ssl_mode() != Negotiation::Disable) {
                return driven(login, tls.load().await?).await;
            }
            driven(login, NoTls).await
        };
        let opened = async {
            let (client, mut messages, mark) = logged_in.await?;
            let found_out = async {
                let session = Session::of(&client, &self.0.timelines, self.0.acks);
                let ownership = async {
                    match &mark {
                        Some(mark) => mark.ownership(&client).await,
                        None => Ok(Ownership::Lent),
                    }
                };
                tokio::try_join!(session, ownership)
            };
            let (session, ownership) = driving(&mut messages, found_out).await?;
            Ok((Opened { client, session, ownership, login: login.clone() }, messages))
        };
        let limit = self.0.limit * 2;
        let timed_out = |_| Err(Failure::reconnect(format!("it was not logged in within {limit:?}")));
        timeout(limit, opened).await.unwrap_or_else(timed_out)
    }
}

/// How to log in to a server, wherever its name leads.
fn login(config: &PostgresConfig, server: &Address) -> Config {
    let sslmode = config.sslmode_of(server);
    let mut login = Config::new();
    login
        .host(&server.host)
        .port(server.port)
        .user(&config.user)
        .dbname(config.database.as_ref().unwrap_or(&config.user))
        .application_name("idem")
        .ssl_mode(match sslmode {
            SslMode::Disable => Negotiation::Disable,
            SslMode::Prefer => Negotiation::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Negotiation::Require,
        })
        .channel_binding(match sslmode {
            // The certificate is not verified, so this is all that tells the server from somebody between.
            SslMode::Require => ChannelBinding::Require,
            _ => ChannelBinding::Prefer,
        })
        .connect_timeout(config.connect_timeout)
        .target_session_attrs(TargetSessionAttrs::ReadWrite);
    if let Some(password) = &config.password {
        login.password(password);
    }
    login
}

/// Logs in, where it can be by a session with a mark.
async fn driven<T>(login: &Config, tls: T) -> Result<(Client, Messages, Option<SessionMark>), Failure>
where
    T: MakeTlsConnect<Socket> + Clone,
    T::Stream: Send + 'static,
{
    let mark = SessionMark::random()?;
    let (connected, mark) = match mark.on(login).connect(tls.clone()).await {
        // Nothing of it is kept for the next connection: what stands behind an address may change at any time.
        Err(error) if ownership::refuses_options(&error) => (login.connect(tls).await, None),
        connected => (connected, Some(mark)),
    };
    let (client, mut connection) = connected.map_err(login_failure::of_login)?;
    let messages = Box::new(move |context: &mut Context<'_>| connection.poll_message(context));
    Ok((client, messages, mark))
}

/// Drives a connection that nobody else drives, until `asked` is answered.
async fn driving<T>(messages: &mut Messages, asked: impl Future<Output = T>) -> T {
    tokio::pin!(asked);
    loop {
        tokio::select! {
            biased;
            answer = &mut asked => return answer,
            Some(Ok(_)) = poll_fn(&mut *messages) => {}
            // Never: `asked` is always polled, and says so when the connection has ended.
            else => return asked.await,
        }
    }
}

/// What no server could do. It may succeed later as long as one of them may.
fn together(failures: &[Failure]) -> Failure {
    let may_succeed = |failure: &Failure| !matches!(failure.recovery, Recovery::Refuse(_));
    let recovery = match failures {
        [first, ..] if !failures.iter().any(may_succeed) => first.recovery,
        [] => Recovery::Refuse(ErrorKind::InvalidConfig),
        _ => Recovery::Reconnect,
    };
    let messages: Vec<_> = failures.iter().map(|failure| &*failure.message).collect();
    Failure { recovery, message: messages.join("; ") }
}
