//! What is found out about a session right after its login, and what may be believed of its commits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::Client;

use super::timelines::{Timeline, Timelines};
use crate::durability::Settings;
use crate::error::{Failure, Recovery};

/// A session of the server.
#[derive(Debug)]
pub(crate) struct Session {
    timeline: Option<Timeline>,
    /// As they were seen last.
    settings: Mutex<Arc<Settings>>,
    /// Standbys that must have a commit before it is believed.
    acks: u8,
}

impl Session {
    /// # Errors
    /// The server has been replaced by another one.
    pub(super) async fn of(client: &Client, timelines: &Timelines, acks: u8) -> Result<Self, Failure> {
        let (timeline, settings) = tokio::try_join!(timelines.of(client), Settings::of(client))?;
        Ok(Self { timeline, settings: Mutex::new(Arc::new(settings)), acks })
    }

    /// Whether another server has taken over from this one.
    pub(crate) fn is_over(&self) -> bool {
        self.timeline.as_ref().is_some_and(Timeline::is_over)
    }

    /// Why a commit may be answered before as many standbys have it as are asked for.
    pub(crate) fn lack(&self) -> Option<Failure> {
        self.settings().lack(self.acks)
    }

    /// Carries out `sent`, which writes, and confirms that its commit was waited for. `detours` counts what was sent by this
    /// connection and answered before a statement could be sent.
    pub(super) async fn confirmed<T>(
        &self,
        client: &Client,
        detours: &AtomicU64,
        sent: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        if self.acks == 0 {
            return sent.await;
        }
        if self.lack().is_some() {
            // Nothing is written for as long as it could not be acknowledged.
            self.note(Settings::of(client).await?);
            if let Some(lack) = self.lack() {
                return Err(lack);
            }
        }
        let before = self.settings();
        let (answer, after) = and_then_look(client, detours, sent).await?;
        if let Some(doubt) = before.doubt(&after, self.acks) {
            self.note(after);
            return Err(Failure::reconnect(doubt));
        }
        self.note(after);
        Ok(answer)
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, settings: Settings) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }
}

/// The answer to `sent`, and the settings right behind it, without another round trip: the look is sent before the answer
/// has come. The server takes both in their order, and answers in it.
///
/// # Errors
/// [`Reconnect`](crate::error::Recovery::Reconnect) where the look failed: `sent` may have been carried out, whatever the server
/// says of the look.
async fn and_then_look<T>(
    client: &Client,
    detours: &AtomicU64,
    sent: impl Future<Output = Result<T, Failure>>,
) -> Result<(T, Settings), Failure> {
    tokio::pin!(sent);
    let detours_before = detours.load(Ordering::Acquire);
    let answer = {
        let look = Settings::of(client);
        tokio::pin!(look);
        // Polled first, `sent` is sent first, unless it takes a detour: then the look came before it, and both answers may
        // be there by now.
        tokio::select! {
            biased;
            answer = &mut sent => {
                let answer = answer?;
                if detours.load(Ordering::Acquire) == detours_before {
                    return Ok((answer, look.await.map_err(effect_unknown)?));
                }
                answer
            }
            early = &mut look => {
                early.map_err(effect_unknown)?;
                sent.await?
            }
        }
    };
    Ok((answer, Settings::of(client).await.map_err(effect_unknown)?))
}

/// What it says of the look it does not say of what was sent before.
fn effect_unknown(failure: Failure) -> Failure {
    Failure { recovery: Recovery::Reconnect, ..failure }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;
    use std::time::Duration;

    use idem_servers::postgres::shared_lone;
    use tokio_postgres::NoTls;

    use super::*;

    /// Also where what is sent asks for something else first, and so comes behind a look that is sent meanwhile.
    #[tokio::test]
    async fn the_look_comes_behind_what_was_sent() {
        let (client, connection) = tokio_postgres::connect(&shared_lone().await.uri(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let detours = AtomicU64::new(0);
        for (pause, commit) in [(None, "off"), (Some(Duration::from_millis(200)), "local")] {
            let sent = async {
                if let Some(pause) = pause {
                    tokio::time::sleep(pause).await;
                }
                Ok(client.batch_execute(&format!("SET synchronous_commit = {commit}")).await?)
            };
            let ((), settings) = and_then_look(&client, &detours, sent).await.unwrap();
            let lack = settings.lack(1).unwrap().message;
            assert!(lack.contains(&format!("synchronous_commit = {commit}")), "{lack}");
        }
    }

    /// Both answers may be there before the task is polled again.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_look_that_was_sent_before_what_was_sent_is_not_believed() {
        let (client, connection) = tokio_postgres::connect(&shared_lone().await.uri(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let detours = AtomicU64::new(0);
        let sent = async {
            // As a preparation does, of which the answer comes later.
            let mut is_prepared = false;
            let prepared = poll_fn(|context| {
                if std::mem::replace(&mut is_prepared, true) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            });
            prepared.await;
            detours.fetch_add(1, Ordering::AcqRel);
            let set = client.batch_execute("SET synchronous_commit = local");
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(set))?;
            Ok(())
        };
        let ((), settings) = and_then_look(&client, &detours, sent).await.unwrap();
        assert!(settings.lack(1).unwrap().message.contains("synchronous_commit = local"));
    }

    /// Whatever the server says of the look, what was sent before has been carried out.
    #[tokio::test]
    async fn a_look_that_fails_leaves_the_effect_unknown() {
        let (client, connection) = tokio_postgres::connect(&shared_lone().await.uri(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let sent = async {
            // From then on every statement is refused.
            client.batch_execute("BEGIN; SELECT 1 / 0").await.unwrap_err();
            Ok(())
        };
        let failure = and_then_look(&client, &AtomicU64::new(0), sent).await.unwrap_err();
        assert_eq!(failure.recovery, Recovery::Reconnect, "{}", failure.message);
    }
}
