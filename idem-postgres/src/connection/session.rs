//! What is found out about a session right after its login, and what may be believed of its commits.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::Client;

use super::timelines::{Timeline, Timelines};
use crate::durability::Settings;
use crate::error::Failure;

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

    /// Carries out `sent`, which writes, and confirms that its commit was waited for.
    pub(super) async fn confirmed<T>(
        &self,
        client: &Client,
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
        let (answer, after) = and_then_look(client, sent).await?;
        if let Some(doubt) = before.doubt(&after, self.acks) {
            self.note(after);
            return Err(Failure::reconnect(doubt));
        }
        if *before != after {
            self.note(after);
        }
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
async fn and_then_look<T>(
    client: &Client,
    sent: impl Future<Output = Result<T, Failure>>,
) -> Result<(T, Settings), Failure> {
    tokio::pin!(sent);
    {
        let look = Settings::of(client);
        tokio::pin!(look);
        // Polled first, `sent` is sent first, unless it has to find out something before.
        tokio::select! {
            biased;
            answer = &mut sent => return Ok((answer?, look.await?)),
            early = &mut look => drop(early?),
        }
    }
    let answer = sent.await?;
    Ok((answer, Settings::of(client).await?))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Duration;

    use idem_servers::postgres::shared_lone;
    use tokio_postgres::NoTls;

    use super::*;

    /// Also where what is sent asks for something else first, and so comes behind a look that is sent meanwhile.
    #[tokio::test]
    async fn the_look_comes_behind_what_was_sent() {
        let (client, connection) = tokio_postgres::connect(&shared_lone().await.uri(), NoTls).await.unwrap();
        tokio::spawn(connection);
        for (pause, commit) in [(None, "off"), (Some(Duration::from_millis(200)), "local")] {
            let sent = async {
                if let Some(pause) = pause {
                    tokio::time::sleep(pause).await;
                }
                Ok(client.batch_execute(&format!("SET synchronous_commit = {commit}")).await?)
            };
            let ((), settings) = and_then_look(&client, sent).await.unwrap();
            let lack = settings.lack(1).unwrap().message;
            assert!(lack.contains(&format!("synchronous_commit = {commit}")), "{lack}");
        }
    }
}
