//! Reading `synchronous_standby_names`.

/// How many standbys a commit waits for: `a, b` and `*` demand one, `FIRST 2 (a, b, c)`, `ANY 2 (*)` and `2 (a, b)` two.
///
/// The server refuses what it cannot read, so what is not a number before a list of names is a list of names.
pub(super) fn demanded(names: &str) -> u32 {
    let names = names.trim_ascii();
    if names.is_empty() {
        return 0;
    }
    // A standby may be called FIRST, or 2.
    number_of_a_list(after_the_method(names)).unwrap_or(1)
}

/// What stands behind `FIRST` or `ANY`, which are written in any case, and in front of which there is nothing.
fn after_the_method(names: &str) -> &str {
    let word = names.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(names.len());
    let (method, rest) = names.split_at(word);
    if ["first", "any"].iter().any(|known| method.eq_ignore_ascii_case(known)) { rest } else { names }
}

/// The number before an opening parenthesis.
fn number_of_a_list(text: &str) -> Option<u32> {
    let text = text.trim_ascii_start();
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, list) = text.split_at(digits);
    list.trim_ascii_start().starts_with('(').then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_standbys_is_read_as_the_server_reads_it() {
        for (names, number) in [
            ("", 0),
            ("  ", 0),
            ("*", 1),
            ("a", 1),
            ("a, b", 1),
            ("\"FIRST 2 (a, b)\"", 1),
            ("\"a \"\"(b\", c", 1),
            ("2", 1),
            ("2, 3", 1),
            ("first, 2", 1),
            ("anyone", 1),
            ("any2 , b", 1),
            ("FIRST 1 (a)", 1),
            ("FIRST 2 (a, b, c)", 2),
            ("ANY 2 (*)", 2),
            ("any 3(a,b,c)", 3),
            ("First\t12 (\"a b\", 2)", 12),
            ("2 (a, b)", 2),
            (" 3(a,b,c) ", 3),
            ("ANY 99999999999 (a)", 1),
        ] {
            assert_eq!(demanded(names), number, "{names}");
        }
    }
}
