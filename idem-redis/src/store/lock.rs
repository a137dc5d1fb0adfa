//! `lock`: one plain command where that suffices, else a script.

use bytes::Bytes;
use idem_core::backend::{Answer, Grant, Sent};
use idem_core::error::Operation;
use idem_core::{Claim, Fingerprint, Key, Result, Token};

use crate::protocol::command::Request;
use crate::protocol::reply::{Reply, ScriptReply};
use crate::protocol::{calls, records};
use crate::retry::{Answered, CallContext, CallError};
use crate::store::inner::Inner;

impl Inner {
    /// `lock`. The plain command comes first, and suffices for fresh and for completed keys.
    pub(super) async fn lock_record(
        &self,
        key: &Key,
        fingerprint: &Fingerprint,
        claim: &Claim,
    ) -> Result<(Answer, Sent)> {
        let redis_key = Bytes::from(self.redis_key(key));
        let context = self.call_context(&redis_key);
        let token = Token { sequence: self.time.next_sequence(), owner: claim.owner };
        let record = Bytes::from(records::fresh(key, *fingerprint, claim, token.sequence)?);
        let request = calls::set_if_absent(&redis_key, record.clone(), claim);
        let mut may_be_locked = false;
        match context.run(&request, |reply| matches!(reply, Reply::Null)).await {
            Ok(Answered { reply: Reply::Null, sent, .. }) => return Ok((fresh(token, claim), sent)),
            Ok(Answered { reply, sent, .. }) => {
                let bytes = reply.bytes().ok_or_else(|| calls::unexpected(Operation::Lock))?;
                if !records::is_forgotten(bytes) {
                    let found = records::decode(key, bytes).map_err(|error| error.during(Operation::Lock))?;
                    if found.fingerprint != *fingerprint {
                        return Ok((Answer::FingerprintMismatch, sent));
                    }
                    if !self.config.confirm_replays
                        && let Some(answer) = calls::completed(found)
                    {
                        return Ok((answer, sent));
                    }
                }
            }
            // Where writes are refused, the script can still serve keys that are on record.
            Err(error) if error.is_write_refused() => may_be_locked = error.unsure,
            Err(error) => return Err(error.into_error(Operation::Lock)),
        }
        let confirm = self.config.confirm_replays;
        let request = calls::lock(&redis_key, fingerprint, claim, record, token.sequence, confirm);
        // Cold path: boxed to keep the future of every call small.
        Box::pin(self.lock_by_script(&context, key, &request, || fresh(token, claim), may_be_locked)).await
    }

    /// `may_be_locked`: whether an earlier attempt may have locked the key.
    async fn lock_by_script(
        &self,
        context: &CallContext<'_>,
        key: &Key,
        request: &Request,
        fresh: impl FnOnce() -> Answer,
        may_be_locked: bool,
    ) -> Result<(Answer, Sent)> {
        let confirm = self.config.confirm_replays;
        let wrote = |reply: &Reply| {
            calls::is_change(reply) || (confirm && ScriptReply::of(reply).word == b"completed")
        };
        let Answered { reply, sent, .. } = context
            .run(request, wrote)
            .await
            .map_err(|error| CallError { unsure: error.unsure || may_be_locked, ..error })
            .map_err(|error| error.into_error(Operation::Lock))?;
        let answer = calls::read_lock(key, &ScriptReply::of(&reply), fresh)
            .map_err(|error| error.during(Operation::Lock))?;
        let Some(answer) = answer else {
            return Err(self.damaged(context, key, &request.key, Operation::Lock).await);
        };
        if let Answer::Acquired(grant) = &answer {
            self.time.observe(grant.token.sequence);
        }
        Ok((answer, sent))
    }
}

fn fresh(token: Token, claim: &Claim) -> Answer {
    Answer::Acquired(Grant { token, attempt: 1, checkpoint: None, valid_for: claim.lease })
}
