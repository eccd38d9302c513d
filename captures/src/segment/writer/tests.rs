//! Disks that refuse.

use std::fs;
use std::time::Duration;

use super::*;
use crate::capture::Capture;
use crate::segment::tests::{config, sanitized, segments};

/// From now on the open segment's writes fail as on a full disk.
fn fill_disk(writer: &mut Writer) {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    writer.segment.as_mut().unwrap().file = full;
}

#[test]
fn a_full_disk_costs_its_block_and_recording_goes_on_in_a_new_segment() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(config(dir.path(), 7)).unwrap();
    let mut totals = Conservation::default();
    let write = |writer: &mut Writer, totals: &mut Conservation, n: u64| {
        writer.append(&sanitized(n, n)).unwrap();
        totals.seen += 1;
        let result = writer.flush(&mut |written| {
            totals.recorded += written;
            *totals
        });
        if let Err(WriteError { lost, .. }) = &result {
            totals.io_error += lost;
        }
        result
    };
    assert_eq!(write(&mut writer, &mut totals, 1).unwrap(), 1);
    fill_disk(&mut writer);
    let error = write(&mut writer, &mut totals, 2).unwrap_err();
    assert_eq!((error.lost, error.source.kind()), (1, io::ErrorKind::StorageFull));
    assert_eq!(write(&mut writer, &mut totals, 3).unwrap(), 1);
    writer.finish(&mut |_| totals).unwrap();

    assert_eq!(segments(dir.path()).len(), 2);
    let capture = Capture::open(&[dir.path()]).unwrap();
    let stats = capture.stats();
    assert_eq!(stats.exchanges, 2);
    assert_eq!(stats.conservation, Conservation { seen: 3, recorded: 2, io_error: 1, ..Default::default() });
    // The first segment could not be closed: its disk was full.
    assert_eq!(capture.damage().len(), 1);
    assert!(capture.segments().all(|segment| segment.conservation.holds()));
}

#[test]
fn exchanges_after_the_last_checkpoint_of_a_lost_segment_are_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(WriterConfig { block_bytes: 1, ..config(dir.path(), 7) }).unwrap();
    let mut totals = Conservation { seen: 2, ..Default::default() };
    writer.flush(&mut |_| totals).unwrap();
    for n in 0..3 {
        totals.seen += 1;
        totals.recorded += writer.append(&sanitized(n, n)).unwrap();
    }
    fill_disk(&mut writer);
    totals.io_error += writer.append(&sanitized(3, 3)).unwrap_err().lost;
    totals.recorded += writer.append(&sanitized(4, 4)).unwrap();
    writer.finish(&mut |_| totals).unwrap();

    let verification = Capture::verify(&[dir.path()]).unwrap();
    assert_eq!(verification.findings.len(), 1, "{:?}", verification.findings);
    assert_eq!(verification.stats.conservation, totals);
}

#[test]
fn a_directory_that_vanished_comes_back_with_the_next_segment() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("captures");
    let mut writer = Writer::create(WriterConfig { max_bytes: 1, ..config(&dir, 7) }).unwrap();
    let mut totals = Conservation { seen: 1, ..Default::default() };
    let mut flush = |writer: &mut Writer| {
        writer.flush(&mut |written| {
            totals.recorded += written;
            totals.seen = totals.recorded;
            totals
        })
    };
    writer.append(&sanitized(1, 1)).unwrap();
    assert_eq!(flush(&mut writer).unwrap(), 1);
    fs::remove_dir_all(&dir).unwrap();
    // A file of that name cannot become the directory.
    fs::write(&dir, "").unwrap();
    writer.append(&sanitized(2, 2)).unwrap();
    let error = flush(&mut writer).unwrap_err();
    assert_eq!((error.lost, &error.path), (1, &dir));
    fs::remove_file(&dir).unwrap();
    writer.append(&sanitized(3, 3)).unwrap();
    assert_eq!(flush(&mut writer).unwrap(), 1);
    assert_eq!(Capture::open(&[&dir]).unwrap().stats().exchanges, 1);
}

#[test]
fn an_unwritable_directory_is_found_at_once() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    let Err(error) = Writer::create(config(&file.join("captures"), 7)) else { panic!("created") };
    assert_eq!(error.path, file.join("captures"));
    assert!(error.to_string().starts_with("cannot write "), "{error}");
}

#[test]
fn a_failed_footer_is_told_by_the_next_flush_and_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer =
        Writer::create(WriterConfig { block_bytes: 1, max_age: Duration::ZERO, ..config(dir.path(), 7) })
            .unwrap();
    let totals = Conservation { seen: 1, recorded: 1, ..Default::default() };
    assert_eq!(writer.append(&sanitized(1, 1)).unwrap(), 1);
    fill_disk(&mut writer);
    assert_eq!(writer.flush(&mut |_| totals).unwrap(), 0);
    assert_eq!(writer.flush(&mut |_| totals).unwrap_err().lost, 0);
    assert_eq!(writer.flush(&mut |_| totals).unwrap(), 0);
    assert_eq!(Capture::open(&[dir.path()]).unwrap().stats().conservation, totals);
}
