//! The size of a run, and what the command line asks for.

use std::time::Duration;

use crate::load::workload::Workload;
use crate::result::Result;

/// The size of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// In the order of the table.
    pub workloads: &'static [Workload],
    /// Numbers of callers, side by side.
    pub callers: &'static [usize],
    /// Sizes of outcomes.
    pub bytes: &'static [usize],
    /// Rounds of each side; a row is the median of them.
    pub rounds: usize,
    /// How long a round is.
    pub round: Duration,
    /// How long the round before the first is, which does not count.
    pub warm_up: Duration,
    /// Completed keys to replay, unless they would take more than [`Plan::replay_bytes`].
    pub replay_keys: usize,
    /// The most bytes that the outcomes to replay may take together.
    pub replay_bytes: usize,
    /// Records kept while memory is measured.
    pub memory_records: usize,
    /// Records that expire at once while a sweep is measured.
    pub sweep_records: usize,
    /// How often the sweep is measured.
    pub sweeps: usize,
    /// How long `lock` is measured without a sweep, each time.
    pub quiet: Duration,
    /// Fail when a figure misses its bar.
    pub check: bool,
}

const USAGE: &str = "usage: cargo bench -p idem-benches --bench <backend> -- [--quick] [--check]
  --quick  a smoke run of a few seconds, whose figures mean nothing
  --check  exit with 1 when a figure misses its bar";

impl Plan {
    /// The plan that the arguments ask for. `cargo bench` adds `--bench`; without it, as in `cargo test`, the plan is
    /// quick.
    pub(crate) fn from_arguments(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let (mut bench, mut quick, mut check) = (false, false, false);
        for argument in arguments {
            match argument.as_str() {
                "--bench" => bench = true,
                "--quick" => quick = true,
                "--check" => check = true,
                other => return Err(format!("unknown argument `{other}`\n{USAGE}").into()),
            }
        }
        let plan = if bench && !quick { Self::full() } else { Self::quick() };
        Ok(Self { check, ..plan })
    }

    fn full() -> Self {
        Self {
            workloads: &Workload::ALL,
            callers: &[1, 8, 64, 512],
            bytes: &[1_024, 65_536],
            rounds: 5,
            round: Duration::from_millis(200),
            warm_up: Duration::from_millis(150),
            replay_keys: 10_000,
            replay_bytes: 64 << 20,
            memory_records: 100_000,
            sweep_records: 100_000,
            sweeps: 2,
            quiet: Duration::from_millis(500),
            check: false,
        }
    }

    fn quick() -> Self {
        Self {
            bytes: &[1_024],
            rounds: 1,
            round: Duration::from_millis(10),
            warm_up: Duration::ZERO,
            replay_keys: 200,
            memory_records: 10_000,
            sweep_records: 2_000,
            sweeps: 1,
            quiet: Duration::from_millis(50),
            ..Self::full()
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn plan(arguments: &[&str]) -> Result<Plan> {
        Plan::from_arguments(arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn run_is_full_only_when_cargo_benches() {
        assert_eq!(plan(&["--bench"]).unwrap().rounds, 5);
        assert_eq!(plan(&[]).unwrap().rounds, 1);
    }

    #[test]
    fn quick_and_check_are_independent() {
        let quick = plan(&["--quick", "--bench"]).unwrap();
        assert_eq!((quick.rounds, quick.check), (1, false));
        let both = plan(&["--quick", "--check", "--bench"]).unwrap();
        assert_eq!((both.rounds, both.check), (1, true));
    }

    #[test]
    fn unknown_argument_is_refused_by_name() {
        let error = plan(&["--fast"]).unwrap_err().to_string();
        assert!(error.contains("`--fast`") && error.contains("--quick"), "{error}");
    }
}
