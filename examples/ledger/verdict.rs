//! Expected against booked, in words and figures.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Result;
use crate::audit::{Booked, Expected, totals};
use crate::tally::Tally;

/// Prints what the stream holds, and its bad lines.
pub(crate) fn announce(stream: &Path, expected: &Expected) {
    println!("stream    {}", stream.display());
    println!(
        "          {} payments, {} retries, {} with a used key and another payment, {} bad lines",
        expected.payments.len(),
        expected.retries,
        expected.refused.len(),
        expected.bad.len()
    );
    for (line, why) in &expected.bad {
        println!("line {line}: skipped: {why}");
    }
}

/// With idem: an error unless the books say what they must, and all clients were told the same.
pub(crate) fn every_payment_once(expected: &Expected, booked: &Booked, tally: &Tally<'_>) -> Result<()> {
    for line in &tally.refused {
        println!("line {line}: refused: its key was used for another payment");
    }
    print_totals(expected, booked);
    println!(
        "answers   {} booked, {} replayed, {} lines refused",
        tally.booked,
        tally.replayed,
        tally.refused.len()
    );
    let unsaid = booked.entries.len().saturating_sub(tally.booked);
    if unsaid > 0 {
        println!("          {unsaid} booked by a worker that was killed before it said so; a retry was told");
    }
    let violations = violations(expected, booked, tally);
    if violations.is_empty() {
        println!("ok        equal to the cent, and each of {} payments booked once", booked.entries.len());
        return Ok(());
    }
    Err(format!("VIOLATED\n  {}", violations.join("\n  ")).into())
}

fn violations(expected: &Expected, booked: &Booked, tally: &Tally<'_>) -> Vec<String> {
    let mut violations = Vec::new();
    let mut must = |held: bool, violation: String| {
        if !held {
            violations.push(violation);
        }
    };
    must(booked.balances == expected.balances, "the balances are not what the stream says".to_owned());
    must(booked.balances == booked.sums(), "the balances are not the sums of the entries".to_owned());
    for (id, request) in &expected.payments {
        let entries = booked.entries.get(id).map_or(&[][..], |entries| entries);
        let right = matches!(entries, [entry]
            if entry.cents == request.cents && entry.currency == request.currency
                && tally.bookings.get(id) == Some(&entry.booking));
        must(
            right,
            format!("{id:?}: booked as {entries:?}, its clients were told {:?}", tally.bookings.get(id)),
        );
    }
    for id in booked.entries.keys().filter(|id| !expected.payments.contains_key(*id)) {
        must(false, format!("{id:?}: booked, and nobody asked for it"));
    }
    must(
        tally.contradicted.is_empty(),
        format!("lines {:?} were told another booking than others before", tally.contradicted),
    );
    must(
        tally.refused == expected.refused,
        format!("refused {:?} instead of {:?}", tally.refused, expected.refused),
    );
    must(tally.bad.iter().eq(expected.bad.keys()), format!("{:?} were taken for bad lines", tally.bad));
    must(tally.unanswered() == 0, format!("{} lines were never answered", tally.unanswered()));
    violations
}

/// Without idem: an error when nothing went wrong, or when the comparison above did not see it.
pub(crate) fn double_bookings(expected: &Expected, booked: &Booked, tally: &Tally<'_>) -> Result<()> {
    print_totals(expected, booked);
    let twice = booked.entries.values().filter(|entries| entries.len() > 1).count();
    let entries: usize = booked.entries.values().map(Vec::len).sum();
    let should = totals(&expected.balances);
    let off = totals(&booked.balances).into_iter().map(|(currency, cents)| {
        let too_much = cents.saturating_sub(should.get(&currency).copied().unwrap_or_default());
        (currency, too_much)
    });
    println!("too much  {}", money(&off.collect()));
    println!(
        "naive     {twice} of {} payments booked more than once, {} bookings too many",
        expected.payments.len(),
        entries.saturating_sub(expected.payments.len())
    );
    let violations = violations(expected, booked, tally);
    println!("          the comparison that idem must pass finds {} violations", violations.len());
    if twice == 0 || violations.is_empty() {
        return Err("no payment was booked twice: does the stream have retries in it?".into());
    }
    Ok(())
}

fn print_totals(expected: &Expected, booked: &Booked) {
    println!("expected  {}", money(&totals(&expected.balances)));
    println!("booked    {}", money(&totals(&booked.balances)));
}

fn money(totals: &BTreeMap<String, u128>) -> String {
    let each = totals
        .iter()
        .map(|(currency, cents)| format!("{currency} {:>12}", format!("{}.{:02}", cents / 100, cents % 100)));
    each.collect::<Vec<_>>().join("  ")
}
