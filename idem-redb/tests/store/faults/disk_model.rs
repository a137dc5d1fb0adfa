//! Tests of the simulated disk that the other tests use: it loses what real disks lose, and nothing else.

use std::io::ErrorKind;

use redb::StorageBackend;

use crate::support::disk::Disk;
use crate::support::rng::Rng;

const SECTOR: usize = 512;

#[test]
fn what_was_synced_survives_every_power_cut() {
    for seed in 0..100 {
        let (disk, file) = synced(8);
        file.write(0, &[2; 8 * SECTOR]).unwrap();
        file.sync_data().unwrap();
        assert_eq!(disk.after_power_cut(&mut Rng::new(seed)).bytes(), [2; 8 * SECTOR]);
    }
}

#[test]
fn an_unsynced_write_is_kept_lost_or_torn_between_sectors() {
    let (mut kept, mut lost, mut torn) = (0, 0, 0);
    for seed in 0..200 {
        let (disk, file) = synced(8);
        file.write(0, &[2; 8 * SECTOR]).unwrap();
        let bytes = disk.after_power_cut(&mut Rng::new(seed)).bytes();
        for sector in bytes.chunks(SECTOR) {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "seed {seed}: a sector is torn");
        }
        match (bytes.contains(&1), bytes.contains(&2)) {
            (false, _) => kept += 1,
            (_, false) => lost += 1,
            _ => torn += 1,
        }
    }
    assert!(kept > 0 && lost > 0 && torn > 0, "{kept} kept, {lost} lost, {torn} torn");
}

/// A sector is written from the cache whole, so the later write never survives without the earlier one.
#[test]
fn two_writes_to_one_sector_survive_in_their_order() {
    for seed in 0..200 {
        let (disk, file) = synced(1);
        file.write(0, &[2; 10]).unwrap();
        file.write(10, &[3; 10]).unwrap();
        let bytes = disk.after_power_cut(&mut Rng::new(seed)).bytes();
        assert!(bytes[10] == 1 || bytes[0] == 2, "seed {seed}: {:?}", &bytes[..20]);
    }
}

#[test]
fn growth_that_was_not_synced_may_be_lost_and_reads_as_zeros_or_as_written() {
    let mut lengths = Vec::new();
    for seed in 0..200 {
        let (disk, file) = synced(1);
        file.set_len(4 * SECTOR as u64).unwrap();
        file.write(2 * SECTOR as u64, &[2; SECTOR]).unwrap();
        let bytes = disk.after_power_cut(&mut Rng::new(seed)).bytes();
        assert_eq!(bytes[..SECTOR], [1; SECTOR]);
        assert!(bytes[SECTOR..].iter().all(|byte| [0, 2].contains(byte)));
        lengths.push(bytes.len() / SECTOR);
    }
    assert!(lengths.contains(&1) && lengths.contains(&4), "{lengths:?}");
}

#[test]
fn nothing_can_be_done_without_power() {
    let (disk, file) = synced(1);
    disk.after_power_cut(&mut Rng::new(0));
    assert!(file.write(0, &[2]).is_err() && file.sync_data().is_err() && file.read(0, &mut [0]).is_err());
    assert!(disk.open().is_err());
}

#[test]
fn a_lying_disk_keeps_nothing_for_certain() {
    let lost = (0..100).filter(|seed| {
        let (disk, file) = synced(1);
        disk.change_faults(|faults, _| faults.lies = true);
        file.write(0, &[2; SECTOR]).unwrap();
        file.sync_data().unwrap();
        disk.after_power_cut(&mut Rng::new(*seed)).bytes()[0] == 1
    });
    assert!(lost.count() > 0);
}

#[test]
fn a_full_disk_takes_no_new_blocks_and_lets_old_ones_be_written() {
    let (disk, file) = synced(8);
    file.set_len(1 << 20).unwrap();
    disk.change_faults(|faults, _| faults.space = Some(1));
    file.write(0, &[2; 4_096]).unwrap();
    assert_eq!(file.write(4_096, &[2]).unwrap_err().kind(), ErrorKind::StorageFull);
    disk.change_faults(|faults, _| faults.space = Some(2));
    file.write(4_096, &[2]).unwrap();
    assert_eq!(disk.used_blocks(), 2);
    file.set_len(4_096).unwrap();
    assert_eq!(disk.used_blocks(), 1);
}

/// A disk of `sectors` sectors full of ones, all of them synced.
fn synced(sectors: usize) -> (Disk, impl StorageBackend) {
    let disk = Disk::holding(vec![1; sectors * SECTOR]);
    let file = disk.open().unwrap();
    (disk, file)
}
