//! The desks at which payments are booked: with idem, and without it, on redb and on PostgreSQL.

pub(crate) mod idempotent;
pub(crate) mod naive;

use tokio::sync::mpsc;

use crate::Result;
use crate::answer::Answer;
use crate::books::Books;
use crate::request::Line;
use crate::serve::serve;

/// Pays each request of the stream into `books`, and sends the answers as they come.
pub(crate) async fn serve_into(
    books: &Books,
    naive: bool,
    stream: Vec<Line>,
    answers: mpsc::Sender<Answer>,
) -> Result<()> {
    match books {
        Books::Redb(file) if naive => serve(stream, naive::redb::Naive::open(file.path())?, answers).await,
        Books::Redb(file) => serve(stream, idempotent::redb::open(file.path()).await?, answers).await,
        Books::Postgres(run) if naive => serve(stream, naive::postgres::Naive::open(run)?, answers).await,
        Books::Postgres(run) => serve(stream, idempotent::postgres::open(run).await?, answers).await,
    }
}
