//! A payment and its key in one transaction.

use std::sync::Arc;

use idem_benches::{Bar, Figure, Fresh, Result, Session, median};
use idem_core::{Key, Lease, LockAnswer, Outcome, Store as _, Transacted};
use idem_postgres::PostgresStore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{KIB, Postgres, claim, fingerprint};
use crate::bare::Pool;

const CALLERS: [usize; 4] = [1, 8, 64, 512];
/// Payments of a round of a full run, and the least of one caller.
const PAYMENTS: usize = 4_000;
const LEAST: usize = 8;
const PAY: &str = "INSERT INTO payments (cents, reference) VALUES (1250, 'a payment')";

/// What is done for one payment.
#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    /// The payment and a row of keys of the application's own.
    OwnRow,
    /// The payment and `complete_in`, of a key that was locked before.
    CompleteIn,
    /// `lock`, then the payment and `complete_in`.
    LockThenCompleteIn,
    /// `lock_in`, the payment and `complete_in`.
    LockIn,
}

const ALL: [How; 4] = [How::OwnRow, How::CompleteIn, How::LockThenCompleteIn, How::LockIn];

struct Desk {
    store: PostgresStore,
    pool: deadpool_postgres::Pool,
    outcome: Outcome,
}

pub(crate) async fn measure(postgres: &Postgres, session: &Session) -> Result<Vec<Figure>> {
    let pool = Pool::deadpool(&postgres.node)?;
    let tables = "DROP TABLE IF EXISTS payments, keys;
        CREATE TABLE payments (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, cents bigint, reference text);
        CREATE TABLE keys (key bytea PRIMARY KEY, answer bytea NOT NULL);
        ALTER TABLE keys ALTER COLUMN answer SET STORAGE EXTERNAL";
    pool.batch(tables).await?;
    let Pool::Deadpool(pool) = pool else { return Err("another pool".into()) };
    let outcome = Outcome::Value(vec![0xA5; KIB].into());
    let desk = Arc::new(Desk { store: postgres.open().await?, pool, outcome });
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); CALLERS.len() * ALL.len()];
    let plan = &session.plan;
    for turn in 0..=plan.rounds {
        // A shorter plan makes proportionally fewer payments.
        let share = plan.round.as_secs_f64().min(1.0);
        for (row, &callers) in
            CALLERS.iter().enumerate().filter(|(_, callers)| plan.callers.contains(*callers))
        {
            for (column, how) in ALL.into_iter().enumerate() {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_precision_loss,
                    reason = "a few thousand"
                )]
                let payments = (PAYMENTS as f64 * share) as usize;
                let rate =
                    round(&desk, how, callers, (payments.min(callers * 500) / callers).max(LEAST)).await?;
                if turn > 0 {
                    rates[row * ALL.len() + column].push(rate);
                }
            }
        }
    }
    Ok(figures(&rates))
}

fn figures(rates: &[Vec<f64>]) -> Vec<Figure> {
    let mut figures = Vec::new();
    println!(
        "\npayments a second: a row of keys of its own / complete_in / lock, then complete_in / lock_in, complete_in"
    );
    for (row, callers) in rates.chunks(ALL.len()).zip(CALLERS) {
        let medians: Vec<Option<f64>> =
            row.iter().map(|rates| (!rates.is_empty()).then(|| median(rates, |rate| *rate))).collect();
        let Some(own) = medians[0] else { continue };
        println!("{callers:>4} {:?}", medians.iter().flatten().map(|rate| rate.round()).collect::<Vec<_>>());
        let ratio = |how: usize| medians[how].map(|rate| rate / own);
        let what = |how: &str| format!("payment + {how} against payment + a row of keys, callers: {callers}");
        figures.push(match callers {
            1 => Figure::held(what("complete_in"), ratio(1), "x", Bar::AtLeast(0.6)),
            64 => Figure::held(what("complete_in"), ratio(1), "x", Bar::AtLeast(0.65)),
            _ => Figure::reported(what("complete_in"), ratio(1), "x"),
        });
        figures.push(Figure::reported(what("lock, complete_in"), ratio(2), "x"));
        figures.push(Figure::reported(what("lock_in, complete_in"), ratio(3), "x"));
    }
    figures
}

/// Payments a second of callers that each make this many.
async fn round(desk: &Arc<Desk>, how: How, callers: usize, payments: usize) -> Result<f64> {
    let mut locking = JoinSet::new();
    for _ in 0..callers {
        let desk = Arc::clone(desk);
        locking.spawn(async move { desk.prepare(how, payments).await });
    }
    let mut paying = JoinSet::new();
    let prepared = locking.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    let began = Instant::now();
    for prepared in prepared {
        let desk = Arc::clone(desk);
        paying.spawn(async move {
            for payment in prepared {
                desk.pay(how, payment).await?;
            }
            Ok(())
        });
    }
    paying.join_all().await.into_iter().collect::<Result<()>>()?;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    Ok((callers * payments) as f64 / began.elapsed().as_secs_f64().max(1e-9))
}

/// A payment to be made: its key, and its lease where that is locked ahead.
type Payment = (Key, Option<Lease>);

impl Desk {
    async fn prepare(&self, how: How, payments: usize) -> Result<Vec<Payment>> {
        let (mut fresh, mut prepared) = (Fresh::new(), Vec::new());
        for _ in 0..payments {
            let key = fresh.key();
            let lease = if how == How::CompleteIn { Some(self.lock(&key).await?) } else { None };
            prepared.push((key, lease));
        }
        Ok(prepared)
    }

    async fn pay(&self, how: How, (key, lease): Payment) -> Result<()> {
        match (how, lease) {
            (_, Some(lease)) => self.complete_in(&lease).await,
            (How::LockIn, None) => self.lock_in(&key).await,
            (How::OwnRow, None) => self.own_row(&key).await,
            (How::CompleteIn | How::LockThenCompleteIn, None) => {
                let lease = self.lock(&key).await?;
                self.complete_in(&lease).await
            }
        }
    }

    async fn own_row(&self, key: &Key) -> Result<()> {
        let mut connection = self.pool.get().await?;
        let pay = connection.prepare_cached(PAY).await?;
        let insert =
            connection.prepare_cached("INSERT INTO keys VALUES ($1, $2) ON CONFLICT DO NOTHING").await?;
        let transaction = connection.transaction().await?;
        transaction.execute(&pay, &[]).await?;
        let Outcome::Value(answer) = &self.outcome else { return Err("no value".into()) };
        transaction.execute(&insert, &[&&key.storage_key()[..], &&answer[..]]).await?;
        Ok(transaction.commit().await?)
    }

    async fn complete_in(&self, lease: &Lease) -> Result<()> {
        let mut connection = self.pool.get().await?;
        let pay = connection.prepare_cached(PAY).await?;
        let transaction = connection.transaction().await?;
        transaction.execute(&pay, &[]).await?;
        applied(&self.store.complete_and_commit(transaction, lease, self.outcome.clone()).await?)
    }

    async fn lock_in(&self, key: &Key) -> Result<()> {
        let mut connection = self.pool.get().await?;
        let pay = connection.prepare_cached(PAY).await?;
        let mut transaction = connection.transaction().await?;
        let locked = self.store.lock_in(&mut transaction, key, &fingerprint(), &claim()?).await?;
        let lease = acquired(locked)?;
        transaction.execute(&pay, &[]).await?;
        applied(&self.store.complete_and_commit(transaction, &lease, self.outcome.clone()).await?)
    }

    async fn lock(&self, key: &Key) -> Result<Lease> {
        acquired(self.store.lock(key, &fingerprint(), &claim()?).await?)
    }
}

fn acquired(locked: LockAnswer) -> Result<Lease> {
    match locked {
        LockAnswer::Acquired(lease) => Ok(lease),
        other => Err(format!("a fresh key answered {other:?}").into()),
    }
}

fn applied<E: std::fmt::Debug>(transacted: &Transacted<E>) -> Result<()> {
    if matches!(transacted, Transacted::Applied) { Ok(()) } else { Err(format!("{transacted:?}").into()) }
}
