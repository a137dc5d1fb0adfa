//! Whether a table stayed flat and small.

use idem_benches::Table;

/// Table and indexes may take this many times the most bytes that ever lived in them.
const MOST: f64 = 5.0;
/// The last third of the run may be this many times the third before it, to allow for a noisy machine.
const NOISE: f64 = 1.25;
const MIB: u64 = 1 << 20;

/// In words, and whether it holds. What a snapshot did to it is told only.
pub(crate) fn of(tables: &[Table], with_snapshot: bool) -> (String, bool) {
    let third = tables.len() / 3;
    let (before, last) = (&tables[third..tables.len() - third], &tables[tables.len() - third..]);
    let largest = |of: &[Table]| of.iter().map(Table::total).max().unwrap_or(0);
    if with_snapshot {
        let [before, most, last] = [&tables[..third], before, last].map(|of| largest(of) / MIB);
        let told = format!(
            "table and indexes took {before} MiB before the snapshot, {most} MiB with it, {last} MiB later"
        );
        return (told, true);
    }
    let times = Table::most_times_live(last, tables);
    let (before, last) = (largest(before), largest(last));
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 bytes")]
    let is_flat = last as f64 <= before as f64 * NOISE;
    let told = format!(
        "table and indexes took {} MiB at most in the second third, {} MiB in the last, {times:.1} times the most that \
         lived: {}",
        before / MIB,
        last / MIB,
        if is_flat && times <= MOST { "flat" } else { "FAULT" }
    );
    (told, is_flat && times <= MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(total: impl Fn(u64) -> u64) -> Vec<Table> {
        (0..30).map(|at| Table { live: 100 * MIB, heap: total(at) * MIB, ..Table::default() }).collect()
    }

    #[test]
    fn a_table_that_is_flat_and_small_holds() {
        assert!(of(&tables(|at| 300 + at % 4 * 30), false).1);
    }

    #[test]
    fn a_table_that_grows_or_is_large_is_a_fault() {
        assert!(!of(&tables(|at| 200 + at * 10), false).1);
        assert!(!of(&tables(|_| 501), false).1);
    }

    #[test]
    fn what_a_snapshot_does_is_told() {
        let (told, holds) = of(&tables(|at| if at < 10 { 300 } else { 900 }), true);
        assert!(holds && told.contains("300 MiB before") && told.contains("900 MiB with it"), "{told}");
    }
}
