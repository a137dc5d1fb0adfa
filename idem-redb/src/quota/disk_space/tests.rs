//! What is free, left and reserved, as it is seen.

use super::*;

const MIB: u64 = 1 << 20;

fn disk_space(measured: DiskUsage, counted_then: u64, counted: u64) -> DiskSpace {
    let disk_space = DiskSpace::new(PathBuf::new());
    disk_space.count(counted_then, 0);
    disk_space.state().record(Some(measured), counted_then);
    disk_space.state().peak = counted_then;
    disk_space.count(counted, 0);
    disk_space
}

fn free(measured: DiskUsage, counted_then: u64, counted: u64) -> Option<u64> {
    disk_space(measured, counted_then, counted).free()
}

#[test]
fn what_is_free_in_the_file_is_free_as_well_and_not_left_on_the_disk() {
    let measured = DiskUsage { available: 10, allocated: 100, holes: 0 };
    assert_eq!(free(measured, 20, 20), Some(70));
    assert_eq!(disk_space(measured, 20, 20).available(), Some(10));
}

#[test]
fn a_file_that_is_smaller_than_its_records_are_thought_to_be_has_nothing_free() {
    assert_eq!(free(DiskUsage { available: 10, allocated: 100, holes: 0 }, 80, 80), Some(10));
}

#[test]
fn beside_holes_that_cannot_be_filled_little_of_the_file_is_free() {
    assert_eq!(free(DiskUsage { available: 10, allocated: 100, holes: 10 }, 20, 20), Some(70));
    assert_eq!(free(DiskUsage { available: 10, allocated: 100, holes: 11 }, 20, 20), Some(10));
    let emptied = disk_space(DiskUsage { available: 10, allocated: 100, holes: 11 }, 20, 20);
    emptied.state().peak = 52;
    assert_eq!(emptied.free(), Some(12));
}

#[test]
fn what_was_written_since_the_look_is_taken_off() {
    let measured = DiskUsage { available: 10, allocated: 100, holes: 0 };
    assert_eq!(free(measured, 80, 83), Some(4));
    assert_eq!(free(measured, 80, 90), Some(0));
    assert_eq!(disk_space(measured, 20, 23).available(), Some(4));
}

#[test]
fn what_was_removed_since_the_look_is_free() {
    assert_eq!(free(DiskUsage { available: 10, allocated: 100, holes: 0 }, 50, 20), Some(70));
}

#[test]
fn the_last_room_on_the_disk_is_for_holders_until_the_file_has_some() {
    let measured = DiskUsage { available: MIB / 2, allocated: 100 * MIB, holes: MIB };
    assert!(disk_space(measured, 50 * MIB, 50 * MIB).reserved().is_some());
    assert!(disk_space(measured, 50 * MIB, 49 * MIB).reserved().is_some());
    assert_eq!(disk_space(measured, 50 * MIB, 48 * MIB).reserved(), None);
    // However small it is, and when it is empty.
    assert_eq!(disk_space(measured, 1_000, 500).reserved(), None);
    assert_eq!(disk_space(measured, 0, 0).reserved(), None);
    let nearly = disk_space(DiskUsage { available: 2 * MIB, ..measured }, 50 * MIB, 50 * MIB);
    assert_eq!((nearly.reserved(), nearly.is_nearly_short()), (None, true));
    assert!(!disk_space(DiskUsage { available: 9 * MIB, ..measured }, 50 * MIB, 50 * MIB).is_nearly_short());
}

#[test]
fn what_turns_out_not_to_be_found_in_the_file_is_believed_less() {
    let measured = DiskUsage { available: MIB / 2, allocated: 100 * MIB, holes: MIB };
    let failing = disk_space(measured, 50 * MIB, 40 * MIB);
    for _ in 0..4 {
        assert_eq!(failing.reserved(), None);
        failing.state().lower_peak();
    }
    assert!(failing.reserved().is_some());
    // It grows by what is added, or by less than that.
    for (grown, peak) in [(EVIDENCE, 42 * MIB + MIB / 2), (EVIDENCE / 4, 50 * MIB)] {
        let growing = disk_space(measured, 50 * MIB, 40 * MIB);
        growing.state().record(Some(measured), 40 * MIB);
        growing.count(40 * MIB, EVIDENCE);
        growing
            .state()
            .record(Some(DiskUsage { allocated: measured.allocated + grown, ..measured }), 40 * MIB);
        assert_eq!(growing.peak(), peak);
    }
}

/// On a busy machine the file is measured late: it grew while it was filled, and half of it was removed since.
#[test]
fn growth_from_before_the_removal_says_nothing_of_what_can_be_reused() {
    let measured = DiskUsage { available: MIB / 2, allocated: 80 * MIB, holes: 0 };
    let filled = disk_space(measured, 40 * MIB, 40 * MIB);
    filled.count(50 * MIB, 10 * MIB);
    filled.count(25 * MIB, 0);
    filled.state().record(Some(DiskUsage { allocated: 100 * MIB, ..measured }), 25 * MIB);
    assert_eq!(filled.peak(), 50 * MIB);
    // From now on it does.
    filled.count(25 * MIB, EVIDENCE);
    filled.state().record(Some(DiskUsage { allocated: 101 * MIB, ..measured }), 25 * MIB);
    assert_eq!(filled.peak(), 31 * MIB + MIB / 4);
}

#[test]
fn where_nobody_knows_nobody_says_how_much_is_free() {
    let disk_space = DiskSpace::new(PathBuf::from("/no/such/file"));
    assert_eq!(disk_space.free(), None);
    disk_space.begin(1, 0, false);
    assert_eq!(
        (disk_space.free(), disk_space.available(), disk_space.reserved(), disk_space.peak()),
        (None, None, None, 1)
    );
}

/// As in a container, where root is not the system's.
#[cfg(unix)]
#[test]
fn what_is_kept_for_root_is_left_until_a_write_fails_that_it_would_have_had_room_for() {
    let disk_space = DiskSpace::new(std::env::current_exe().unwrap_or_default());
    disk_space.begin(0, 0, false);
    let (available, measured) = (disk_space.available(), disk_space.state().measured);
    assert!(!disk_space.state().excludes_root_reserve);
    disk_space.ran_out_of_space();
    let has_room = measured.is_some_and(|measured| available > Some(measured.reserve()));
    assert_eq!(disk_space.state().excludes_root_reserve, has_room);
}
