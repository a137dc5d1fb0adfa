//! The calls of a holder: `renew`, `checkpoint`, `complete` and `release`.

use bytes::Bytes;
use idem_core::backend::{Call, LeaseControl};
use idem_core::{Effect, Lease, Result};

use crate::protocol::calls;
use crate::protocol::reply::ScriptReply;
use crate::retry::Answered;
use crate::store::inner::Inner;

impl Inner {
    /// A call of a holder.
    pub(super) async fn holder_call(&self, lease: &Lease, call: &Call) -> Result<Effect> {
        let operation = call.operation();
        call.check(self.config.max_outcome)?;
        let redis_key = Bytes::from(self.redis_key(lease.key()));
        let context = self.call_context(&redis_key);
        let now = match call {
            Call::Complete { .. } => {
                context.topology.node(context.slot).ok().and_then(|node| node.server.now())
            }
            _ => None,
        };
        let request = calls::of_holder(&redis_key, lease, call, now, self.remembered())?;
        let Answered { reply, sent, unsure } =
            context.run(&request, calls::is_change).await.map_err(|error| error.into_error(operation))?;
        let answer = calls::read_holder(lease, operation, ScriptReply::of(&reply).word, unsure)
            .map_err(|error| error.during(operation))?;
        let Some((effect, wrote)) = answer else {
            return Err(Box::pin(self.damaged(&context, lease.key(), &redis_key, operation)).await);
        };
        tracing::trace!(key = %lease.key(), %operation, ?effect);
        lease.answered(call, effect, wrote, &sent);
        Ok(effect)
    }
}
