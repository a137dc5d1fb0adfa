//! All workloads, each with all numbers of callers, both sides in turn.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use idem_core::Key;

use crate::load::backend::{Backend, Raw};
use crate::load::caller::Payload;
use crate::load::fill::{fill, keys};
use crate::load::plan::Plan;
use crate::load::workload::{RETENTION, Workload};
use crate::result::Result;
use crate::run::drive::{Load, Round, after, round};
use crate::run::row::{Row, Rows};
use crate::run::side::{RawSide, StoreSide};

/// How many copies of the payload there are: about one for each core.
const PAYLOADS: usize = 8;

/// The rows of `backend` against each of its baselines; `directory` gives a fresh one each time.
pub(crate) async fn measure<B: Backend>(
    backend: &B,
    plan: &Plan,
    directory: impl Fn() -> Result<PathBuf>,
) -> Result<Vec<Rows>> {
    let mut all: Vec<Rows> = Vec::new();
    // By size first: rows that are compared across numbers of callers have 1 KiB, and are thus measured before the disk
    // slows down.
    for &bytes in plan.bytes {
        for &workload in plan.workloads {
            eprintln!("  {workload}, {bytes} bytes");
            let measured = Group { backend, plan, workload, bytes, directory: &directory }.measure().await?;
            for (place, rows) in measured.into_iter().enumerate() {
                match all.get_mut(place) {
                    Some(before) => before.rows.extend(rows.rows),
                    None => all.push(rows),
                }
            }
        }
    }
    for rows in &mut all {
        rows.rows.sort_by_key(|row| row.workload);
    }
    Ok(all)
}

/// One workload with outcomes of one size.
struct Group<'a, B, D> {
    backend: &'a B,
    plan: &'a Plan,
    workload: Workload,
    bytes: usize,
    directory: &'a D,
}

/// Both sides, ready for rounds.
struct Sides<R> {
    store: Arc<StoreSide>,
    raws: Vec<(&'static str, Arc<RawSide<R>>)>,
    durable: bool,
    files: PathBuf,
}

impl<B: Backend, D: Fn() -> Result<PathBuf>> Group<'_, B, D> {
    async fn measure(&self) -> Result<Vec<Rows>> {
        let payloads = (0..PAYLOADS).map(|_| Ok(Arc::new(Payload::new(self.bytes)?)));
        let payloads: Arc<[Arc<Payload>]> = payloads.collect::<Result<_>>()?;
        let mut sides = self.open(&payloads[0]).await?;
        let fresh_each_round = B::IN_MEMORY && self.workload.grows();
        let mut idem = vec![Vec::new(); self.plan.callers.len()];
        let mut raws = vec![idem.clone(); sides.raws.len()];
        for turn in 0..=self.plan.rounds {
            let warming_up = turn == 0;
            let span = if warming_up { self.plan.warm_up } else { self.plan.round };
            if warming_up && span.is_zero() {
                continue;
            }
            for (place, &callers) in self.plan.callers.iter().enumerate() {
                if fresh_each_round {
                    sides.close();
                    sides = self.open(&payloads[0]).await?;
                }
                let sample = if sides.durable && self.workload.grows() { 1 } else { 16 };
                let load = Load { workload: self.workload, callers, payloads: Arc::clone(&payloads), sample };
                let measured = round(&sides.store, &load, after(span)).await?;
                keep(&mut idem[place], measured, warming_up);
                let steps = measured.steps;
                for (raw, (_, side)) in raws.iter_mut().zip(&sides.raws) {
                    let measured = round(side, &load, after(span)).await?;
                    if !fresh_each_round {
                        self.catch_up(side.raw(), steps.saturating_sub(measured.steps), &payloads[0]).await?;
                    }
                    keep(&mut raw[place], measured, warming_up);
                }
            }
        }
        let baselines: Vec<&'static str> = sides.raws.iter().map(|(name, _)| *name).collect();
        sides.close();
        Ok(baselines.into_iter().zip(&raws).map(|(name, raw)| self.rows(name, &idem, raw)).collect())
    }

    async fn open(&self, payload: &Payload) -> Result<Sides<B::Raw>> {
        let files = (self.directory)()?;
        let part = |name: &str| -> Result<PathBuf> {
            let path = files.join(name);
            std::fs::create_dir(&path)?;
            Ok(path)
        };
        let store = self.backend.store(&part("idem")?).await?;
        let kept = self.replayed_keys();
        fill(&store, &kept, self.bytes, RETENTION).await?;
        let mut raws = Vec::new();
        for baseline in self.backend.baselines(&part("raw")?, self.workload).await? {
            baseline.raw.fill(&kept, &payload.outcome_record).await?;
            raws.push((baseline.name, Arc::new(RawSide::new(baseline.raw, Arc::clone(&kept)))));
        }
        let durable = store.capabilities().durable;
        Ok(Sides { store: Arc::new(StoreSide::new(store, kept)), raws, durable, files })
    }

    /// Gives the bare side as many records as idem's. Otherwise the faster side would work on a larger tree, and the next
    /// round with few callers would pay for what the one with many callers wrote.
    async fn catch_up(&self, raw: &B::Raw, missing: usize, payload: &Payload) -> Result<()> {
        match self.workload {
            Workload::Lock => raw.fill(&keys(missing), &payload.lock_record).await,
            Workload::Cycle => raw.fill(&keys(missing), &payload.outcome_record).await,
            Workload::Replay | Workload::HotReplay | Workload::Contended => Ok(()),
        }
    }

    fn replayed_keys(&self) -> Arc<[Key]> {
        let most = (self.plan.replay_bytes / self.bytes.max(1)).max(1);
        keys(if self.workload.replays() { self.plan.replay_keys.min(most) } else { 0 })
    }

    fn rows(&self, baseline: &'static str, idem: &[Vec<Round>], raw: &[Vec<Round>]) -> Rows {
        let rows = self.plan.callers.iter().zip(idem.iter().zip(raw));
        let rows =
            rows.map(|(&callers, (idem, raw))| Row::new(self.workload, callers, self.bytes, idem, raw));
        Rows { baseline, rows: rows.collect() }
    }
}

impl<R> Sides<R> {
    /// Ends both sides, and gives their disk space back.
    fn close(self) {
        let files = self.files.clone();
        drop(self);
        discard(&files);
    }
}

fn keep(rounds: &mut Vec<Round>, round: Round, warming_up: bool) {
    if !warming_up {
        rounds.push(round);
    }
}

/// Whatever remains is removed with the whole temporary directory in the end.
fn discard(files: &Path) {
    if let Err(error) = std::fs::remove_dir_all(files) {
        eprintln!("  {}: {error}", files.display());
    }
}
