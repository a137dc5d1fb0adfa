//! What the clients were told by all workers, living and killed.

use std::collections::{BTreeMap, BTreeSet};

use crate::Result;
use crate::answer::{Answer, Reply};
use crate::audit::PaymentId;
use crate::request::Line;

/// The answers so far.
#[derive(Debug)]
pub(crate) struct Tally<'a> {
    stream: &'a [Line],
    /// The booking that the clients of each payment were told first.
    pub(crate) bookings: BTreeMap<PaymentId, u64>,
    /// Lines that were told another booking than the payment's first answer.
    pub(crate) contradicted: BTreeSet<usize>,
    pub(crate) refused: BTreeSet<usize>,
    pub(crate) bad: BTreeSet<usize>,
    answered: BTreeSet<usize>,
    pub(crate) booked: usize,
    pub(crate) replayed: usize,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(stream: &'a [Line]) -> Self {
        Self {
            stream,
            bookings: BTreeMap::new(),
            contradicted: BTreeSet::new(),
            refused: BTreeSet::new(),
            bad: BTreeSet::new(),
            answered: BTreeSet::new(),
            booked: 0,
            replayed: 0,
        }
    }

    pub(crate) fn note(&mut self, answer: &Answer) -> Result<()> {
        self.answered.insert(answer.line);
        match answer.reply {
            Reply::Booked(booking) => {
                self.booked += 1;
                self.told(answer.line, booking)
            }
            Reply::Replayed(booking) => {
                self.replayed += 1;
                self.told(answer.line, booking)
            }
            Reply::Refused => {
                self.refused.insert(answer.line);
                Ok(())
            }
            Reply::Bad => {
                self.bad.insert(answer.line);
                Ok(())
            }
        }
    }

    /// How many lines have had no answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.stream.len().saturating_sub(self.answered.len())
    }

    fn told(&mut self, line: usize, booking: u64) -> Result<()> {
        let at = self.stream.binary_search_by_key(&line, |line| line.number);
        let request = at.ok().and_then(|at| self.stream[at].request.as_ref().ok());
        let request = request.ok_or_else(|| format!("line {line} was booked, and is no request"))?;
        let first = *self.bookings.entry((request.account.clone(), request.key.clone())).or_insert(booking);
        if first != booking {
            self.contradicted.insert(line);
        }
        Ok(())
    }
}
