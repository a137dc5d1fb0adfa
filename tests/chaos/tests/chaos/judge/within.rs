//! What calls came to that began and ended within a time.

use std::ops::Range;

use crate::judge::history::{Answer, Event, Micros};

/// How many calls were answered so that their caller may rely on a write, and how many ended without an answer.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Within {
    pub(crate) acknowledged: usize,
    pub(crate) unknown: usize,
}

/// Of the calls of `workers` that began and ended between two moments.
pub(crate) fn within(history: &[Event], workers: &Range<u32>, begin: Micros, end: Micros) -> Within {
    let mut within = Within::default();
    let lies_within =
        |event: &&Event| workers.contains(&event.worker) && begin <= event.begin && event.end <= end;
    for event in history.iter().filter(lies_within) {
        match event.answer {
            Answer::Acquired { .. } | Answer::Applied { .. } => within.acknowledged += 1,
            Answer::Unknown => within.unknown += 1,
            _ => {}
        }
    }
    within
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::history::Call;

    #[test]
    fn calls_that_began_before_or_ended_later_are_not_counted() {
        let event =
            |worker, begin, end, answer| Event { worker, key: 1, begin, end, call: Call::Get, answer };
        let applied = Answer::Applied { until: 0 };
        let history = [
            event(1, 10, 20, applied.clone()),
            event(1, 9, 20, applied.clone()),
            event(1, 10, 41, applied.clone()),
            event(2, 30, 40, applied.clone()),
            event(3, 30, 40, applied),
            event(1, 12, 15, Answer::Unknown),
            event(1, 12, 15, Answer::InProgress),
        ];
        assert_eq!(within(&history, &(1..3), 10, 40), Within { acknowledged: 2, unknown: 1 });
        assert_eq!(within(&history, &(3..4), 10, 30), Within::default());
    }
}
