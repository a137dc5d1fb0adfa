//! In PostgreSQL.

use sqlx::PgPool;

use crate::Result;
use crate::answer::Reply;
use crate::books::postgres::{Run, book};
use crate::request::Request;
use crate::serve::Desk;

#[derive(Clone)]
pub(crate) struct Naive {
    pool: PgPool,
}

impl Naive {
    pub(crate) fn open(run: &Run) -> Result<Self> {
        Ok(Self { pool: run.pool()? })
    }
}

impl Desk for Naive {
    async fn pay(&self, request: &Request) -> Result<Reply> {
        let mut transaction = self.pool.begin().await?;
        let booking = sqlx::query_scalar("SELECT nextval('naive_bookings')");
        let booking = i64::cast_unsigned(booking.fetch_one(&mut *transaction).await?);
        book(&mut transaction, request, booking).await?;
        transaction.commit().await?;
        Ok(Reply::Booked(booking))
    }

    async fn close(self) -> Result<()> {
        self.pool.close().await;
        Ok(())
    }
}
