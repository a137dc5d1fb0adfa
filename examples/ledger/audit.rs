//! What the books must say, by the stream alone, and what they do say.

use std::collections::{BTreeMap, BTreeSet};

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
