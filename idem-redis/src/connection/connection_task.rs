//! The task of a connection: writes queued commands, reads answers, and ends when an answer is overdue.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use crate::config::address::Address;
use crate::connection::notification_listener::NotificationListener;
use crate::connection::queue::Queue;
use crate::protocol::decode::{Decoder, Frame, Malformed};
use crate::protocol::errors::cause::Cause;
use crate::protocol::errors::error_reply;
use crate::protocol::reply::Reply;

/// Initial size of the read buffer.
const READ_BUFFER: usize = 64 << 10;

/// How long to keep reading after writing has failed.
const FINAL_READ: Duration = Duration::from_millis(100);

pub(super) struct ConnectionTask {
    pub(super) queue: Arc<Queue>,
    pub(super) address: Address,
    pub(super) response_timeout: Duration,
    pub(super) max_reply_bytes: usize,
    pub(super) listener: Arc<dyn NotificationListener>,
}

impl ConnectionTask {
    /// Serves the connection until it fails. When the future is dropped, for example because its runtime ends, the
    /// connection ends too.
    pub(super) async fn serve(self, reader: impl AsyncRead + Unpin, writer: impl AsyncWrite + Unpin) {
        let mut read = pin!(self.read(reader));
        let cause = tokio::select! {
            biased;
            cause = &mut read => cause,
            // The server may have sent the reason why it closed the connection.
            cause = self.write(writer) => timeout(FINAL_READ, read).await.unwrap_or(cause),
            cause = self.watch() => cause,
        };
        tracing::debug!(server = %self.address, ?cause, "the connection ends");
        self.queue.end(&cause);
    }

    async fn write(&self, mut writer: impl AsyncWrite + Unpin) -> Cause {
        loop {
            for mut piece in self.queue.filled().await {
                let length = piece.len();
                if let Err(error) = writer.write_all_buf(&mut piece).await {
                    return self.failed(error);
                }
                self.queue.wrote(length);
            }
            if let Err(error) = writer.flush().await {
                return self.failed(error);
            }
        }
    }

    async fn read(&self, mut reader: impl AsyncRead + Unpin) -> Cause {
        let (mut buffer, mut replies) = (BytesMut::with_capacity(READ_BUFFER), Vec::new());
        let mut decoder = Decoder::new(self.max_reply_bytes);
        loop {
            buffer.reserve(READ_BUFFER / 8);
            match reader.read_buf(&mut buffer).await {
                Ok(0) => return Cause::new(format!("{} closed the connection", self.address)),
                Ok(_) => {}
                Err(error) => return self.failed(error),
            }
            let taken = self.take(&mut decoder, &mut buffer, &mut replies);
            let is_demoted = replies.iter().any(is_demotion);
            let answered = self.queue.answer(&mut replies);
            if is_demoted {
                return Cause::new(format!("{} is no master any more", self.address));
            }
            if let Err(cause) = taken
                .map_err(|Malformed| Cause::new("it sent what is not RESP3, or more than is taken"))
                .and(answered)
            {
                return Cause::new(format!("{}: {cause:?}", self.address));
            }
        }
    }

    fn take(
        &self,
        decoder: &mut Decoder,
        buffer: &mut BytesMut,
        replies: &mut Vec<Reply>,
    ) -> Result<(), Malformed> {
        while let Some(frame) = decoder.next(buffer)? {
            match frame {
                Frame::Reply(reply) => replies.push(reply),
                Frame::Push(parts) => self.received_push(&parts),
            }
        }
        Ok(())
    }

    /// In `smessage` and `sunsubscribe` the channel comes second.
    fn received_push(&self, parts: &[Reply]) {
        let channel = parts.get(1).and_then(Reply::text);
        if let (Some("smessage" | "sunsubscribe"), Some(channel)) =
            (parts.first().and_then(Reply::text), channel)
        {
            self.listener.notify(channel);
        }
    }

    /// Ends a connection whose server has gone silent, so that no caller gets a late answer or is queued behind one.
    async fn watch(&self) -> Cause {
        loop {
            sleep(self.response_timeout / 8).await;
            if self.queue.waited() >= self.response_timeout {
                return Cause::new(format!("{} gave no answer in {:?}", self.address, self.response_timeout));
            }
        }
    }

    fn failed(&self, error: std::io::Error) -> Cause {
        Cause::with_source(format!("the connection to {} failed", self.address), error)
    }
}

/// Whether the server says that it is no longer a master. Its acknowledgements are void then.
fn is_demotion(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(text) if error_reply::is_demotion(&String::from_utf8_lossy(text)))
}

impl Drop for ConnectionTask {
    fn drop(&mut self) {
        self.queue.end(&Cause::new(format!("the connection to {} ended", self.address)));
        if self.queue.has_subscribed() {
            self.listener.end();
        }
    }
}
