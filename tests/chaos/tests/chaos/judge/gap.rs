//! The longest time without an answer.

use std::ops::Range;

use crate::judge::history::{Answer, Event, Micros};

/// Between `begin` and `end`, for calls of `keys`. An unknown effect or an error is no answer.
pub(crate) fn longest_gap(history: &[Event], keys: Range<u32>, begin: Micros, end: Micros) -> Micros {
    let is_answer = |event: &&Event| {
        keys.contains(&event.key)
            && !matches!(event.answer, Answer::Unknown | Answer::Full | Answer::Failed(_))
    };
    let mut moments: Vec<_> = history.iter().filter(is_answer).map(|event| event.end).collect();
    moments.retain(|moment| (begin..=end).contains(moment));
    moments.extend([begin, end]);
    moments.sort_unstable();
    moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::history::Call;

    #[test]
    fn the_longest_time_between_two_answers_is_found() {
        let event = |key, end, answer| Event { worker: 0, key, begin: 0, end, call: Call::Get, answer };
        let history = [
            event(1, 10, Answer::Nothing),
            event(1, 40, Answer::Nothing),
            event(1, 25, Answer::Unknown),
            event(2, 20, Answer::Nothing),
            event(1, 95, Answer::Nothing),
            event(1, 45, Answer::InProgress),
        ];
        assert_eq!(longest_gap(&history, 1..2, 5, 60), 30);
        assert_eq!(longest_gap(&history, 1..3, 5, 60), 20);
        assert_eq!(longest_gap(&history, 1..2, 0, 200), 105);
        assert_eq!(longest_gap(&[], 1..2, 5, 60), 55);
    }
}
