//! One run of one bench file: where results go, and what is printed.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use tempfile::TempDir;

use crate::load::backend::Backend;
use crate::load::plan::Plan;
use crate::machine::disk;
use crate::result::Result;
use crate::run::figure::Figure;
use crate::run::row::Rows;
use crate::run::{chart, suite};

/// One run of one bench file.
#[derive(Debug)]
pub struct Session {
    /// The size of the run.
    pub plan: Plan,
    results: PathBuf,
    scratch: TempDir,
    directories: Cell<usize>,
    syncs_per_s: RefCell<Vec<f64>>,
    missed: usize,
}

/// The `main` of a bench file. `target_tmpdir` is its `env!("CARGO_TARGET_TMPDIR")`; the results go to
/// `idem-bench` beside it, and scratch files too, so that durable means this disk and not a memory file system.
pub fn run(target_tmpdir: &str, bench: impl AsyncFnOnce(&mut Session) -> Result<()>) -> ExitCode {
    match try_run(target_tmpdir, bench) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(missed) => {
            eprintln!("{missed} figures miss their bar");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Runs the bench. Returns how many figures missed their bar, or 0 if that is not to be checked.
fn try_run(target_tmpdir: &str, bench: impl AsyncFnOnce(&mut Session) -> Result<()>) -> Result<usize> {
    let plan = Plan::from_arguments(std::env::args().skip(1))?;
    let target = Path::new(target_tmpdir).parent().ok_or("the target directory has no parent")?;
    let results = target.join("idem-bench");
    std::fs::create_dir_all(&results)?;
    let scratch = TempDir::with_prefix_in("scratch-", &results)?;
    let mut session = Session {
        plan,
        results,
        scratch,
        directories: Cell::default(),
        syncs_per_s: RefCell::default(),
        missed: 0,
    };
    // A bare caller that blocks takes a thread for itself, and there are 512 of them.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(2_048).build()?;
    runtime.block_on(bench(&mut session))?;
    Ok(if session.plan.check { session.missed } else { 0 })
}

impl Session {
    /// A fresh, empty directory.
    pub fn directory(&self) -> Result<PathBuf> {
        let number = self.directories.get();
        self.directories.set(number + 1);
        let path = self.scratch.path().join(number.to_string());
        std::fs::create_dir(&path)?;
        Ok(path)
    }

    /// Measures what `plan` says, prints the tables, and writes `<name>.json`, one such file per further
    /// baseline, and `<name>.svg`.
    pub async fn measure<B: Backend>(&self, name: &str, backend: &B, plan: &Plan) -> Result<Vec<Rows>> {
        eprintln!("{name}: {} rounds of {:?} a side", plan.rounds, plan.round);
        let directory = || {
            let directory = self.directory()?;
            if !B::IN_MEMORY {
                self.probe(&directory)?;
            }
            Ok(directory)
        };
        let all = suite::measure(backend, plan, directory).await?;
        for (place, rows) in all.iter().enumerate() {
            println!("\n{name} {rows}");
            let file =
                if place == 0 { name.to_owned() } else { format!("{name}-against-{}", slug(rows.baseline)) };
            self.write(&file, &rows.published())?;
        }
        if let Some(rows) = all.first() {
            let path = self.results.join(format!("{name}.svg"));
            chart::draw(&path, name, rows, plan)?;
            println!("{}", path.display());
        }
        Ok(all)
    }

    /// Prints the figures and writes `<name>-must-hold.json`.
    pub fn must_hold(&mut self, name: &str, mut figures: Vec<Figure>) -> Result<()> {
        figures.extend(self.disk_figures());
        println!("\n{name} must hold");
        for figure in &figures {
            println!("{figure}");
        }
        self.missed += figures.iter().filter(|figure| figure.holds == Some(false)).count();
        self.write(&format!("{name}-must-hold"), &figures)
    }

    /// Writes `<name>.json`: the rows of a bench that has its own.
    pub fn publish(&self, name: &str, rows: &impl Serialize) -> Result<()> {
        self.write(name, rows)
    }

    fn probe(&self, directory: &Path) -> Result<()> {
        let syncs_per_s = disk::syncs_per_s(directory)?;
        eprintln!("    the disk syncs {syncs_per_s:.0} pages a second");
        self.syncs_per_s.borrow_mut().push(syncs_per_s);
        Ok(())
    }

    /// How steady the disk was, which the figures that compare across rows depend on.
    fn disk_figures(&self) -> Vec<Figure> {
        let probes = self.syncs_per_s.borrow();
        let figure =
            |what, value| Figure::reported(format!("pages the disk synced a second, {what}"), value, "/s");
        match (probes.iter().copied().reduce(f64::max), probes.iter().copied().reduce(f64::min)) {
            (None, _) | (_, None) => Vec::new(),
            (most, least) => vec![figure("at most", most), figure("at least", least)],
        }
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let path = self.results.join(format!("{name}.json"));
        std::fs::write(&path, serde_json::to_vec_pretty(value)?)?;
        println!("{}", path.display());
        Ok(())
    }
}

fn slug(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}
