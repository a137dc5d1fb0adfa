//! What is free, left and reserved, as it is seen.

use super::*;

const MIB: u64 = 1 << 20;

fn room(seen: Seen, counted_then: u64, counted: u64) -> Room {
    let room = Room::new(PathBuf::new());
    room.count(counted_then, 0);
    room.state().saw(Some(seen), counted_then);
    room.state().most = counted_then;
    room.count(counted, 0);
    room
}

fn free(seen: Seen, counted_then: u64, counted: u64) -> Option<u64> {
    room(seen, counted_then, counted).free()
}

#[test]
fn what_is_free_in_the_file_is_free_as_well_and_not_left_on_the_disk() {
    let seen = Seen { left: 10, taken: 100, holes: 0 };
    assert_eq!(free(seen, 20, 20), Some(70));
    assert_eq!(room(seen, 20, 20).left(), Some(10));
}

#[test]
fn a_file_that_is_smaller_than_its_records_are_thought_to_be_has_nothing_free() {
    assert_eq!(free(Seen { left: 10, taken: 100, holes: 0 }, 80, 80), Some(10));
}

#[test]
fn beside_holes_that_cannot_be_filled_little_of_the_file_is_free() {
    assert_eq!(free(Seen { left: 10, taken: 100, holes: 10 }, 20, 20), Some(70));
    assert_eq!(free(Seen { left: 10, taken: 100, holes: 11 }, 20, 20), Some(10));
    let emptied = room(Seen { left: 10, taken: 100, holes: 11 }, 20, 20);
    emptied.state().most = 52;
    assert_eq!(emptied.free(), Some(12));
}

#[test]
fn what_was_written_since_the_look_is_taken_off() {
    let seen = Seen { left: 10, taken: 100, holes: 0 };
    assert_eq!(free(seen, 80, 83), Some(4));
    assert_eq!(free(seen, 80, 90), Some(0));
    assert_eq!(room(seen, 20, 23).left(), Some(4));
}

#[test]
fn what_was_removed_since_the_look_is_free() {
    assert_eq!(free(Seen { left: 10, taken: 100, holes: 0 }, 50, 20), Some(70));
}

#[test]
fn the_last_room_on_the_disk_is_for_holders_until_the_file_has_some() {
    let seen = Seen { left: MIB / 2, taken: 100 * MIB, holes: MIB };
    assert!(room(seen, 50 * MIB, 50 * MIB).reserved().is_some());
    assert!(room(seen, 50 * MIB, 49 * MIB).reserved().is_some());
    assert_eq!(room(seen, 50 * MIB, 48 * MIB).reserved(), None);
    // However small it is, and when it is empty.
    assert_eq!(room(seen, 1_000, 500).reserved(), None);
    assert_eq!(room(seen, 0, 0).reserved(), None);
    let nearly = room(Seen { left: 2 * MIB, ..seen }, 50 * MIB, 50 * MIB);
    assert_eq!((nearly.reserved(), nearly.is_nearly_short()), (None, true));
    assert!(!room(Seen { left: 9 * MIB, ..seen }, 50 * MIB, 50 * MIB).is_nearly_short());
}

#[test]
fn what_turns_out_not_to_be_found_in_the_file_is_believed_less() {
    let seen = Seen { left: MIB / 2, taken: 100 * MIB, holes: MIB };
    let failing = room(seen, 50 * MIB, 40 * MIB);
    for _ in 0..4 {
        assert_eq!(failing.reserved(), None);
        failing.state().found_less();
    }
    assert!(failing.reserved().is_some());
    // It grows by what is added, or by less than that.
    for (grown, most) in [(EVIDENCE, 42 * MIB + MIB / 2), (EVIDENCE / 4, 50 * MIB)] {
        let growing = room(seen, 50 * MIB, 40 * MIB);
        growing.count(40 * MIB, EVIDENCE);
        growing.state().saw(Some(Seen { taken: seen.taken + grown, ..seen }), 40 * MIB);
        assert_eq!(growing.most(), most);
    }
}

#[test]
fn where_nobody_knows_nobody_says_how_much_is_free() {
    let room = Room::new(PathBuf::from("/no/such/file"));
    assert_eq!(room.free(), None);
    room.begin(1, 0, false);
    assert_eq!((room.free(), room.left(), room.reserved(), room.most()), (None, None, None, 1));
}

/// As in a container, where root is not the system's.
#[cfg(unix)]
#[test]
fn what_is_kept_for_root_is_left_until_a_write_fails_that_it_would_have_had_room_for() {
    let room = Room::new(std::env::current_exe().unwrap_or_default());
    room.begin(0, 0, false);
    let (left, seen) = (room.left(), room.state().seen);
    assert!(!room.state().without_roots);
    room.ran_out_of_space();
    let has_room = seen.is_some_and(|seen| left > Some(seen.reserve()));
    assert_eq!(room.state().without_roots, has_room);
}
