//! Checks a node again, and has its replicas hold its marker.

use std::sync::Arc;

use tokio::time::Instant;

use crate::connection::link::Link;
use crate::protocol::errors::attempt_error::AttemptError;
use crate::topology::cluster::slots::slot_of;
use crate::topology::node::common::Common;
use crate::topology::node::connections::Node;

impl Node {
    /// Checks the server again. The connections to a server that does not meet the requirements are closed.
    pub(crate) async fn check(self: &Arc<Self>) {
        let Ok(link) = self.query_link().await else { return };
        match self.check_by(&link).await {
            Ok(()) => self.replicate_marker().await,
            Err(error) if matches!(error, AttemptError::Refused(..)) || self.server.is_demoted() => {
                tracing::error!(server = %self.address(), fault = ?error, "the server is refused");
                self.refuse(&error);
            }
            Err(error) => {
                tracing::warn!(server = %self.address(), fault = ?error, "the server cannot be checked");
            }
        }
    }

    async fn check_by(&self, link: &Link) -> Result<(), AttemptError> {
        let seen = self.server.examine(link).await?;
        // The server has restarted or changed its role since these links were made, so what they know is void.
        self.links().filter(|link| !link.leads_to(&seen.facts.identity)).for_each(|link| link.close());
        self.server.check_data(link, &seen).await
    }

    /// Has the replicas of the server hold its marker, where it has replicas and they are waited for.
    pub(crate) async fn replicate_marker(self: &Arc<Self>) {
        let Common { markers, required_acks, connector, .. } = &*self.server.common;
        let Some(seen) = self.server.seen().filter(|seen| seen.facts.replicas > 0) else { return };
        let Some(number) = seen.marker() else { return };
        let Some(key) = markers.unacknowledged(number) else { return };
        let by = required_acks
            .get()
            .map(|required_acks| required_acks.of(Some(slot_of(&key)), 0))
            .unwrap_or_default();
        if by.replicas == 0 {
            return;
        }
        let until = Instant::now() + connector.ack_timeout * 2;
        let replicated = match self.link(self.next_connection()).await {
            Ok(link) => markers.replicate(&link, number, by, until).await,
            Err(error) => Err(error),
        };
        if let Err(error) = replicated {
            tracing::debug!(server = %self.address(), fault = ?error, "its replicas do not hold its marker yet");
        }
    }
}
