//! `remove`.

use bytes::Bytes;
use idem_core::error::Operation;
use idem_core::{Key, Result};

use crate::protocol::calls;
use crate::protocol::reply::{Reply, ScriptReply};
use crate::retry::{Answered, CallContext, CallError};
use crate::store::inner::Inner;

impl Inner {
    async fn delete(
        &self,
        context: &CallContext<'_>,
        redis_key: &Bytes,
    ) -> std::result::Result<bool, CallError> {
        let request = calls::delete(redis_key);
        let removed = |reply: &Reply| reply.integer().is_some_and(|count| count > 0);
        let answered = context.run(&request, removed).await?;
        Ok(answered.unsure || removed(&answered.reply))
    }

    pub(super) async fn remove_record(&self, key: &Key, force: bool) -> Result<bool> {
        let redis_key = Bytes::from(self.redis_key(key));
        let context = self.call_context(&redis_key);
        match context.run(&calls::remove(&redis_key, force, self.remembered()), calls::is_change).await {
            Ok(Answered { reply, unsure, .. }) => match ScriptReply::of(&reply).word {
                b"applied" => return Ok(true),
                b"gone" => return Ok(unsure),
                b"held" => return Ok(false),
                // The value is damaged, or is not a record at all.
                _ => {}
            },
            Err(error) if force && error.is_corrupt() => {}
            Err(error) => return Err(error.into_error(Operation::Remove)),
        }
        if force {
            return self
                .delete(&context, &redis_key)
                .await
                .map_err(|error| error.into_error(Operation::Remove));
        }
        Err(self.damaged(&context, key, &redis_key, Operation::Remove).await)
    }
}
