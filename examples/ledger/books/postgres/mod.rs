//! The books in PostgreSQL, in the database of the store.

mod run;

pub(crate) use run::Run;

use sqlx::PgConnection;

use crate::Result;
use crate::audit::{Booked, Entry};
use crate::request::Request;

/// No constraint keeps a payment from being booked twice: that is left to idem, and the audit sees it.
const TABLES: &str = "
    CREATE TABLE balances (
        account text, currency text, cents bigint NOT NULL,
        PRIMARY KEY (account, currency)
    );
    CREATE TABLE entries (
        account text NOT NULL, key text NOT NULL, booking bigint NOT NULL, cents bigint NOT NULL, currency text NOT NULL
    );
    CREATE SEQUENCE naive_bookings;";

/// Books `request` as number `booking`. All of it happens when the transaction on `connection` commits, or nothing.
pub(crate) async fn book(
    connection: &mut PgConnection,
    request: &Request,
    booking: u64,
) -> Result<(), sqlx::Error> {
    let (booking, cents) = (number(booking)?, number(request.cents)?);
    let balance = "INSERT INTO balances (account, currency, cents) VALUES ($1, $2, $3)
        ON CONFLICT (account, currency) DO UPDATE SET cents = balances.cents + excluded.cents";
    let balance = sqlx::query(balance).bind(&request.account).bind(&request.currency).bind(cents);
    balance.execute(&mut *connection).await?;
    let entry = "INSERT INTO entries (account, key, booking, cents, currency) VALUES ($1, $2, $3, $4, $5)";
    let entry = sqlx::query(entry).bind(&request.account).bind(&request.key).bind(booking);
    entry.bind(cents).bind(&request.currency).execute(connection).await?;
    Ok(())
}

/// What is booked in this run, by SQL alone.
pub(super) async fn read(run: &Run) -> Result<Booked> {
    let mut booked = Booked::default();
    let mut connection = run.connect("ledger audit").await?;
    let mut transaction = sqlx::Connection::begin(&mut connection).await?;
    // A killed worker may have sent a commit that the server still carries out. This waits for all that is written, and
    // keeps everybody from writing until the tables are read.
    sqlx::raw_sql("LOCK TABLE balances, entries IN SHARE MODE").execute(&mut *transaction).await?;
    let balances = sqlx::query_as("SELECT account, currency, cents FROM balances");
    let balances: Vec<(String, String, i64)> = balances.fetch_all(&mut *transaction).await?;
    for (account, currency, cents) in balances {
        booked.balances.insert((account, currency), cents.try_into()?);
    }
    let entries = sqlx::query_as("SELECT account, key, booking, cents, currency FROM entries");
    let entries: Vec<(String, String, i64, i64, String)> = entries.fetch_all(&mut *transaction).await?;
    for (account, key, booking, cents, currency) in entries {
        let entry = Entry { booking: booking.try_into()?, cents: cents.try_into()?, currency };
        booked.entries.entry((account, key)).or_default().push(entry);
    }
    Ok(booked)
}

fn number(number: u64) -> Result<i64, sqlx::Error> {
    i64::try_from(number).map_err(|error| sqlx::Error::Encode(format!("{number}: {error}").into()))
}
