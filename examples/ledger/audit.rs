//! What the books must say, by the stream alone, and what they do say, by the file alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableError};

use crate::Result;
use crate::books::{BALANCES, ENTRIES};
use crate::request::{Line, Request};

/// (account, client's key)
pub(crate) type PaymentId = (String, String);
/// (account, currency) -> cents
pub(crate) type Balances = BTreeMap<(String, String), u128>;

/// What the stream says the books must hold: the first request with a key is the payment.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) payments: BTreeMap<PaymentId, Request>,
    pub(crate) balances: Balances,
    pub(crate) retries: usize,
    /// Lines that use a key again for another payment.
    pub(crate) refused: BTreeSet<usize>,
    /// Lines that are not requests, and why.
    pub(crate) bad: BTreeMap<usize, String>,
}

impl Expected {
    pub(crate) fn of(stream: &[Line]) -> Self {
        let mut expected = Self::default();
        for Line { number, request } in stream {
            match request {
                Ok(request) => expected.add(*number, request),
                Err(why) => drop(expected.bad.insert(*number, why.clone())),
            }
        }
        expected
    }

    fn add(&mut self, number: usize, request: &Request) {
        let id = (request.account.clone(), request.key.clone());
        match self.payments.get(&id) {
            Some(payment) if payment == request => self.retries += 1,
            Some(_) => drop(self.refused.insert(number)),
            None => {
                let balance = (request.account.clone(), request.currency.clone());
                *self.balances.entry(balance).or_default() += u128::from(request.cents);
                self.payments.insert(id, request.clone());
            }
        }
    }
}

/// What the books hold.
#[derive(Debug, Default)]
pub(crate) struct Booked {
    pub(crate) entries: BTreeMap<PaymentId, Vec<Entry>>,
    pub(crate) balances: Balances,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) booking: u64,
    pub(crate) cents: u64,
    pub(crate) currency: String,
}

impl Booked {
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let mut booked = Self::default();
        let database = Database::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let txn = database.begin_read()?;
        let balances = match txn.open_table(BALANCES) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(booked), // Nothing was ever booked.
            opened => opened?,
        };
        for row in balances.iter()? {
            let (id, cents) = row?;
            let (account, currency) = id.value();
            booked.balances.insert((account.to_owned(), currency.to_owned()), cents.value().into());
        }
        for row in txn.open_table(ENTRIES)?.iter()? {
            let (id, amount) = row?;
            let ((account, key, booking), (cents, currency)) = (id.value(), amount.value());
            let entry = Entry { booking, cents, currency: currency.to_owned() };
            booked.entries.entry((account.to_owned(), key.to_owned())).or_default().push(entry);
        }
        Ok(booked)
    }

    /// The balances again, summed up from the entries.
    pub(crate) fn sums(&self) -> Balances {
        let mut sums = Balances::new();
        for ((account, _), entries) in &self.entries {
            for entry in entries {
                *sums.entry((account.clone(), entry.currency.clone())).or_default() +=
                    u128::from(entry.cents);
            }
        }
        sums
    }
}

/// Currency -> cents
pub(crate) fn totals(balances: &Balances) -> BTreeMap<String, u128> {
    let mut totals = BTreeMap::new();
    for ((_, currency), cents) in balances {
        *totals.entry(currency.clone()).or_default() += cents;
    }
    totals
}
