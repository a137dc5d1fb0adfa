//! Killing the booking process again and again. Each new one serves the stream from the start, as if clients that lost an
//! answer retried everything.

use std::ops::RangeInclusive;
use std::time::Duration;

use indicatif::ProgressBar;

use crate::Result;
use crate::arguments::Arguments;
use crate::books::Books;
use crate::tally::Tally;
use crate::worker::{End, Moment, Worker};

/// How many workers to start for one kill: a worker may finish before its kill.
const TRIES: usize = 10;

/// Starts workers on the same books one after another, and keeps their answers.
pub(crate) struct Supervisor<'a, 'stream> {
    pub(crate) arguments: &'a Arguments,
    pub(crate) books: &'a Books,
    pub(crate) tally: &'a mut Tally<'stream>,
    pub(crate) bar: &'a ProgressBar,
}

impl Supervisor<'_, '_> {
    /// Kills `kills` workers, and lets one more finish.
    pub(crate) fn run(&mut self, kills: u16) -> Result<()> {
        for nth in 0..kills {
            self.bar.set_message(format!("{nth} of {kills} kills"));
            let answers = self.kill(nth, kills)?;
            let known = self.tally.bookings.len();
            self.bar.suspend(|| {
                let nth = nth + 1;
                println!(
                    "kill {nth:>3} of {kills}: after {answers} answers, {known} payments known as booked"
                );
            });
        }
        self.bar.set_message(format!("{kills} of {kills} kills"));
        self.work(None)?;
        Ok(())
    }

    /// Kills one worker. Returns how many answers it gave before that.
    fn kill(&mut self, nth: u16, kills: u16) -> Result<u64> {
        for _ in 0..TRIES {
            let moment = random_moment(nth, kills, self.bar.length().unwrap_or_default())?;
            if let (End::Killed, answers) = self.work(Some(moment))? {
                return Ok(answers);
            }
        }
        Err(format!("{TRIES} workers finished before kill {} of {kills}", nth + 1).into())
    }

    fn work(&mut self, kill: Option<Moment>) -> Result<(End, u64)> {
        self.bar.set_position(0);
        let mut answers = 0;
        let end = Worker::start(self.arguments, self.books)?.run(kill, |answer| {
            answers += 1;
            self.bar.inc(1);
            self.tally.note(&answer)
        })?;
        Ok((end, answers))
    }
}

/// One kill in five strikes while the worker starts, opens its file or repeats what is booked. Each of the others has
/// its own part of the stream, so that even the last one meets payments that are not booked yet.
fn random_moment(nth: u16, kills: u16, lines: u64) -> Result<Moment> {
    if random(1..=5)? == 1 {
        return Ok(Moment { after_answers: 0, pause: Duration::from_micros(random(0..=20_000)?) });
    }
    let (nth, parts) = (u64::from(nth), u64::from(kills) + 1);
    let after_answers = random(lines * nth / parts..=lines * (nth + 1) / parts)?;
    Ok(Moment { after_answers, pause: Duration::from_micros(random(0..=2_000)?) })
}

/// A random number within `range`.
fn random(range: RangeInclusive<u64>) -> Result<u64> {
    let random = getrandom::u64().map_err(|error| format!("the system's random source failed: {error}"))?;
    Ok(range.start() + random % (range.end() - range.start() + 1))
}
