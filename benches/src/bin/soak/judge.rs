//! Whether the figures of a run stayed flat, and every promise held.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use idem_benches::Table;

use crate::caller;
use crate::flood;
use crate::ledger::Ledger;
use crate::sample::Sample;
use crate::times;

/// The last third of a run may be this many times the third before it, to allow for a noisy machine.
const NOISE: f64 = 1.25;
/// The same for the time of a `lock`, which depends on whatever else the machine does.
const NOISE_OF_TIME: f64 = 4.0;
const MIB: f64 = 1_048_576.0;
/// The shortest run, in seconds, whose times are judged. In a shorter one, a third is too short to tell a growing time
/// from a machine that was busy for a moment.
const TIMES_JUDGED_FROM: usize = 300;
/// How many times what lives in it a table and its indexes may take.
const MOST_OF_A_TABLE: f64 = 5.0;
/// How long a store may take to remove what has expired.
const LATE: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(crate) struct Verdict {
    summary: String,
    faults: Vec<String>,
    times_judged: bool,
}

impl Verdict {
    pub(crate) fn of(samples: &[Sample], ledger: &Ledger) -> Self {
        let mut faults = flat(samples);
        faults.extend(swept(samples));
        faults.extend(bloated(samples));
        faults.extend(unseen(samples));
        let (violations, first) = ledger.violations();
        if violations > 0 {
            faults.push(format!("{violations} broken promises, the first of them:"));
            faults.extend(first);
        }
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Relaxed);
        let summary = format!(
            "{} executed, {} replayed, {} crashed, {} flooded, {} of the flood refused, {} unsure",
            count(&ledger.executed),
            count(&ledger.replayed),
            count(&ledger.crashed),
            count(&ledger.flooded),
            count(&ledger.refused),
            count(&ledger.unsure),
        );
        for (what, counter) in [("executed", &ledger.executed), ("replayed", &ledger.replayed)] {
            if count(counter) == 0 {
                faults.push(format!("nothing was {what}: this was no load"));
            }
        }
        Self { summary, faults, times_judged: samples.len() >= TIMES_JUDGED_FROM }
    }

    pub(crate) fn holds(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.summary)?;
        if !self.times_judged {
            write!(f, "\nthe time of a lock is not judged below {TIMES_JUDGED_FROM} s")?;
        }
        match self.faults.len() {
            0 => write!(f, "\nflat, 0 violations"),
            _ => self.faults.iter().try_for_each(|fault| write!(f, "\nFAULT: {fault}")),
        }
    }
}

/// Names the figures that still grow in the last third of a run.
fn flat(samples: &[Sample]) -> Vec<String> {
    let third = samples.len() / 3;
    let (before, last) = (&samples[third..2 * third], &samples[2 * third..]);
    let mut faults = Vec::new();
    let mut hold = |what: &str, of: &dyn Fn(&Sample) -> Option<f64>, noise: f64, slack: f64| {
        let peak = |samples: &[Sample]| samples.iter().filter_map(of).fold(0.0, f64::max);
        let (before, last) = (peak(before), peak(last));
        if last > before * noise + slack {
            faults.push(format!(
                "{what} grows: {before:.0} at most in the second third, {last:.0} in the last"
            ));
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 of anything")]
    let as_float = |number: u64| number as f64;
    // A machine that is faster in the last third holds more records that have not expired.
    let faster = (most_entered(last) / most_entered(before).max(1.0)).max(1.0);
    hold("the number of records", &|sample| sample.records.map(as_float), NOISE * faster, 1_000.0);
    hold("the file (bytes)", &|sample| sample.file.map(as_float), NOISE, 4.0 * MIB);
    hold("memory (bytes)", &|sample| sample.memory.map(as_float), NOISE, 32.0 * MIB);
    hold("the server's memory (bytes)", &|sample| sample.server.map(as_float), NOISE, 32.0 * MIB);
    hold("the table (bytes)", &|sample| Some(as_float(sample.table?.total())), NOISE * faster, 64.0 * MIB);
    hold("the number of connections", &|sample| sample.connections.map(as_float), 1.0, 2.0);
    hold("the number of tasks", &|sample| Some(as_float(sample.tasks)), NOISE, 16.0);
    if samples.len() >= TIMES_JUDGED_FROM {
        let p99 = |sample: &Sample| Some(sample.lock_p99.as_secs_f64() * 1e6);
        hold("p99 of lock (µs)", &p99, NOISE_OF_TIME, 50_000.0);
    }
    faults
}

/// The most records that came in within the longest retention.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 of anything")]
fn most_entered(samples: &[Sample]) -> f64 {
    let windows = samples.windows(seconds_held().min(samples.len()).max(1));
    windows.map(|window| window.iter().map(|sample| sample.entered).sum::<u64>()).max().unwrap_or(0) as f64
}

/// For how many seconds a record may be held after it came in.
fn seconds_held() -> usize {
    let longest = flood::RETENTION.max(times::LEASE + caller::RETENTION) + LATE;
    usize::try_from(longest.as_secs()).unwrap_or(usize::MAX - 1) + 1
}

/// A store must hold no more records than came in within the longest retention and the time that it has for removing.
fn swept(samples: &[Sample]) -> Option<String> {
    let seconds = seconds_held();
    samples.iter().enumerate().skip(seconds).find_map(|(at, sample)| {
        let records = sample.records?;
        let entered: u64 = samples[at - seconds..=at].iter().map(|sample| sample.entered).sum();
        (records > entered + 1_000).then(|| {
            format!("{records} records in second {at}, but only {entered} came in during the last {seconds}")
        })
    })
}

/// In a long run, the last third must not have seen a table of many times what lives in it.
fn bloated(samples: &[Sample]) -> Option<String> {
    let tables: Vec<_> = samples.iter().filter_map(|sample| sample.table).collect();
    let last = tables.get(tables.len() * 2 / 3..).filter(|_| samples.len() >= TIMES_JUDGED_FROM)?;
    let times = Table::most_times_live(last, &tables);
    (times > MOST_OF_A_TABLE).then(|| format!("the table takes {times:.1} times what lives in it"))
}

/// A figure that was seen once must be seen in each second, so that no growth goes unnoticed.
fn unseen(samples: &[Sample]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut look = |what: &str, is_seen: &dyn Fn(&Sample) -> bool| {
        let missed = samples.iter().filter(|sample| !is_seen(sample)).count();
        if missed > 0 && missed < samples.len() {
            faults.push(format!("{what} could not be seen in {missed} of {} seconds", samples.len()));
        }
    };
    look("the number of records", &|sample| sample.records.is_some());
    look("the file", &|sample| sample.file.is_some());
    look("memory", &|sample| sample.memory.is_some());
    look("the server's memory", &|sample| sample.server.is_some());
    look("the table", &|sample| sample.table.is_some());
    look("the number of connections", &|sample| sample.connections.is_some());
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(of: impl Fn(u64) -> Sample) -> Vec<Sample> {
        (0..300).map(of).collect()
    }

    /// A table of so many MiB, in which 100 MiB live.
    fn table(mebibytes: u64) -> Table {
        Table { live: 100 << 20, heap: mebibytes << 20, ..Table::default() }
    }

    fn slower(second: u64) -> Sample {
        Sample { lock_p99: Duration::from_millis((second / 100).pow(5) * 20), ..Sample::default() }
    }

    #[test]
    fn run_that_neither_grows_nor_piles_up_is_flat() {
        let samples = run(|second| Sample {
            entered: 10_000,
            records: Some(40_000 + second % 7 * 500),
            file: Some(100 << 20),
            memory: Some(200 << 20),
            server: Some(20 << 20),
            table: Some(table(300 + second % 10 * 20)),
            connections: Some(5),
            tasks: 70,
            lock_p99: Duration::from_millis(3 + second % 5),
        });
        assert_eq!(flat(&samples), Vec::<String>::new());
        assert_eq!(swept(&samples), None);
        assert_eq!(bloated(&samples), None);
        assert_eq!(unseen(&samples), Vec::<String>::new());
    }

    #[test]
    fn figure_that_grows_is_named() {
        let grows = |of: fn(u64) -> Sample, what: &str| {
            let faults = flat(&run(of));
            assert!(faults.len() == 1 && faults[0].starts_with(what), "{what}: {faults:?}");
        };
        grows(
            |second| Sample { records: Some(second * 1_000), ..Sample::default() },
            "the number of records",
        );
        grows(|second| Sample { file: Some(second << 20), ..Sample::default() }, "the file");
        grows(|second| Sample { memory: Some(second << 22), ..Sample::default() }, "memory");
        grows(|second| Sample { server: Some(second << 22), ..Sample::default() }, "the server's memory");
        grows(|second| Sample { table: Some(table(second * 4)), ..Sample::default() }, "the table");
        grows(
            |second| Sample { connections: Some(second / 10), ..Sample::default() },
            "the number of connections",
        );
        grows(|second| Sample { tasks: second * 4, ..Sample::default() }, "the number of tasks");
        grows(slower, "p99");
    }

    #[test]
    fn more_records_because_more_come_in_are_not_growth() {
        let faster = |factor: u64| {
            run(move |second| {
                let entered = if second < 200 { 10_000 } else { 15_000 };
                Sample { entered, records: Some(40_000 + second / 200 * factor), ..Sample::default() }
            })
        };
        assert_eq!(flat(&faster(20_000)), Vec::<String>::new());
        assert_eq!(flat(&faster(50_000)).len(), 1);
    }

    /// CI soaks each store for a minute, on a machine that may be busy.
    #[test]
    fn time_of_a_lock_is_judged_in_a_long_run_only() {
        let slower = run(slower);
        assert_eq!(flat(&slower).len(), 1);
        assert_eq!(flat(&slower[..299]), Vec::<String>::new());
        let verdict = |samples| Verdict::of(samples, &Ledger::default()).to_string();
        assert!(verdict(&slower[..299]).contains("not judged") && !verdict(&slower).contains("not judged"));
    }

    #[test]
    fn figure_that_is_no_longer_seen_is_reported() {
        let is_reported = |hide: fn(&mut Sample), what: &str| {
            let some = Some(1);
            let mut samples = run(|_| Sample {
                records: some,
                file: some,
                memory: some,
                server: some,
                table: Some(table(1)),
                connections: some,
                ..Sample::default()
            });
            hide(&mut samples[250]);
            let faults = unseen(&samples);
            assert!(faults.len() == 1 && faults[0].starts_with(what), "{what}: {faults:?}");
        };
        is_reported(|sample| sample.records = None, "the number of records");
        is_reported(|sample| sample.file = None, "the file");
        is_reported(|sample| sample.memory = None, "memory");
        is_reported(|sample| sample.server = None, "the server's memory");
        is_reported(|sample| sample.table = None, "the table");
        is_reported(|sample| sample.connections = None, "the number of connections");
    }

    #[test]
    fn table_of_many_times_what_lives_in_it_is_reported_in_a_long_run() {
        let samples = run(|_| Sample { table: Some(table(600)), ..Sample::default() });
        assert!(bloated(&samples).is_some() && bloated(&samples[..299]).is_none());
    }

    #[test]
    fn records_that_outlast_their_retention_are_reported() {
        let samples =
            run(|second| Sample { entered: 1_000, records: Some(second * 1_000), ..Sample::default() });
        assert!(swept(&samples).is_some());
    }
}
