//! Cursors as text.

use idem_core::ErrorKind;
use idem_core::scan::Cursor;
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_cursor_is_parsed_as_it_was_shown(tag: [u8; 2], position in proptest::collection::vec(any::<u8>(), 0..126)) {
        let cursor = Cursor::new(tag, &position).unwrap();
        let parsed: Cursor = cursor.to_string().parse().unwrap();
        prop_assert_eq!(&parsed, &cursor);
        prop_assert_eq!(parsed.parts(), Some((tag, &position[..])));
    }

    #[test]
    fn any_text_is_a_cursor_or_an_invalid_argument(text in ".{0,300}") {
        match text.parse::<Cursor>() {
            Ok(cursor) => prop_assert_eq!(cursor.to_string(), text),
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::InvalidArgument),
        }
    }
}

#[test]
fn the_length_is_bounded() {
    assert!(Cursor::new(*b"ab", &[0; Cursor::MAX_LEN - 2]).is_ok());
    assert!(Cursor::new(*b"ab", &[0; Cursor::MAX_LEN - 1]).is_err());
    assert!("0".repeat(2 * Cursor::MAX_LEN).parse::<Cursor>().is_ok());
    assert!("0".repeat(2 * Cursor::MAX_LEN + 2).parse::<Cursor>().is_err());
    assert!("".parse::<Cursor>().unwrap().parts().is_none());
    assert!("0A".parse::<Cursor>().is_err(), "one cursor has one text");
}
