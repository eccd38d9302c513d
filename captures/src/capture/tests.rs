//! Damage of every kind, the order over segments, what verification finds.

use std::fs;
use std::path::Path;

use super::*;
use crate::conservation::Conservation;
use crate::exchange::Exchange;
use crate::segment::tests::{Totals, config, exchange, read, sanitized, segments};
use crate::segment::{Writer, WriterConfig};

/// Blocks of two exchanges each, in one closed segment.
fn small_segment(dir: &Path) -> (PathBuf, Vec<Exchange>) {
    let exchanges: Vec<_> = (0..6).map(|n| exchange(n, 1_000 + n * 100)).collect();
    let mut writer = Writer::create(config(dir, 7)).unwrap();
    let mut totals = Totals::default();
    for pair in exchanges.chunks(2) {
        for exchange in pair {
            writer.append(&sanitized(exchange.id.0 as u64, exchange.arrival.0)).unwrap();
        }
        writer.flush(&mut |n| totals.record(n)).unwrap();
    }
    writer.finish(&mut |n| totals.record(n)).unwrap();
    let [path] = &segments(dir)[..] else { panic!("one segment") };
    (path.clone(), exchanges)
}

/// What a damaged file gave.
struct Salvage {
    /// Exchanges.
    read: usize,
    /// Those that the findings say are lost.
    lost: usize,
    findings: Vec<Damage>,
}

impl Salvage {
    /// Every exchange was read or is told as lost, and the damage at `byte` is told from there or before.
    fn assert_accounts_for(&self, written: usize, byte: usize, how: &str) {
        let Self { read, lost, findings } = self;
        assert_eq!(read + lost, written, "{how}: {read} read, {lost} told as lost: {findings:?}");
        assert!(findings.iter().any(|finding| finding.offset <= byte as u64), "{how}: {findings:?}");
    }
}

/// Reads a file made of `bytes` and checks that it gives nothing but the originals, each once, and that its damage is
/// told. `None` when it was refused as a whole.
fn read_damaged(path: &Path, bytes: &[u8], originals: &[Exchange], how: &str) -> Option<Salvage> {
    fs::write(path, bytes).unwrap();
    let verification = match Capture::verify(&[path]) {
        Ok(verification) => verification,
        Err(CaptureError::Io { source, .. }) => panic!("{how}: {source}"),
        Err(_) => return None,
    };
    assert!(!verification.is_whole(), "{how}: not noticed");
    let found: Vec<_> = Capture::open(&[path]).unwrap().exchanges().map(|e| e.unwrap()).collect();
    let mut left = originals.to_vec();
    for exchange in &found {
        let place = left.iter().position(|original| original == exchange);
        left.swap_remove(place.unwrap_or_else(|| panic!("{how}: misread or read twice")));
    }
    assert_eq!(verification.read, found.len() as u64, "{how}");
    let lost = verification.findings.iter().map(|finding| finding.lost as usize).sum();
    Some(Salvage { read: found.len(), lost, findings: verification.findings })
}

#[test]
fn a_segment_cut_at_any_byte_gives_its_whole_blocks_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (path, exchanges) = small_segment(dir.path());
    let bytes = fs::read(&path).unwrap();
    let capture = Capture::open(&[&path]).unwrap();
    let payloads: Vec<_> = capture.block_offsets().map(|at| at as usize + 48).collect();
    let stored = capture.segments[0].blocks.iter().map(|block| block.stored_len as usize);
    let ends: Vec<_> = payloads.iter().zip(stored).map(|(at, len)| at + len).collect();
    for len in 0..bytes.len() {
        let how = format!("cut to {len} bytes");
        let within = |ends: &[usize]| 2 * ends.iter().filter(|end| **end <= len).count();
        match read_damaged(&path, &bytes[..len], &exchanges, &how) {
            Some(salvage) => {
                assert_eq!(salvage.read, within(&ends), "{how}");
                // A block says how many it holds as soon as its header is whole.
                salvage.assert_accounts_for(within(&payloads), len, &how);
            }
            None => assert_eq!(within(&ends), 0, "{how}"),
        }
    }
}

#[test]
fn a_bit_flipped_anywhere_is_found_and_costs_at_most_its_block() {
    let dir = tempfile::tempdir().unwrap();
    let (path, exchanges) = small_segment(dir.path());
    let bytes = fs::read(&path).unwrap();
    for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        let how = format!("bit {bit} of byte {at} flipped");
        match read_damaged(&path, &flipped, &exchanges, &how) {
            Some(salvage) => {
                assert!(salvage.read >= exchanges.len() - 2, "{how}: {} left", salvage.read);
                salvage.assert_accounts_for(exchanges.len(), at, &how);
            }
            // Magic: it looks like no segment.
            None => assert!(at < 8, "{how}: refused"),
        }
    }
}

#[test]
fn a_flipped_bit_is_skipped_too_when_the_recorder_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, exchanges) = small_segment(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let capture = Capture::open(&[&path]).unwrap();
    let footer = capture.segments[0].body_end as usize;
    bytes.truncate(footer);
    for (at, bit) in (0..footer).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        let how = format!("bit {bit} of byte {at} flipped, no footer");
        match read_damaged(&path, &flipped, &exchanges, &how) {
            Some(salvage) => {
                assert!(salvage.read >= exchanges.len() - 2, "{how}: {} left", salvage.read);
                // A block whose header is damaged is skipped; the checkpoint after it knows how many were in it.
                salvage.assert_accounts_for(exchanges.len(), at, &how);
            }
            None => assert!(at < 8, "{how}: refused"),
        }
    }
}

#[test]
fn what_cannot_be_counted_is_told_as_bytes() {
    let dir = tempfile::tempdir().unwrap();
    // Three blocks of one, without a checkpoint that counts them, and no footer.
    let mut writer = Writer::create(WriterConfig { block_bytes: 1, ..config(dir.path(), 7) }).unwrap();
    let exchanges: Vec<_> = (0..3).map(|n| exchange(n, 1_000 + n * 100)).collect();
    for n in 0..3 {
        assert_eq!(writer.append(&sanitized(n, 1_000 + n * 100)).unwrap(), 1);
    }
    drop(writer);
    let [path] = &segments(dir.path())[..] else { panic!("one segment") };
    let bytes = fs::read(path).unwrap();
    let block = Capture::open(&[path]).unwrap().segments[0].blocks[1];
    for (at, bit) in (0..48 + block.stored_len as usize).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut flipped = bytes.clone();
        flipped[block.offset as usize + at] ^= 1 << bit;
        let how = format!("bit {bit} of byte {at} of the block flipped");
        let salvage = read_damaged(path, &flipped, &exchanges, &how).unwrap();
        let skipped = format!("{} bytes up to byte ", 48 + block.stored_len);
        match salvage.findings.iter().find(|finding| finding.what.starts_with(&skipped)) {
            Some(finding) => {
                assert_eq!((at < 48, finding.offset, salvage.lost), (true, block.offset, 0), "{how}")
            }
            None => salvage.assert_accounts_for(3, block.offset as usize + at, &how),
        }
        assert_eq!(salvage.read, 2, "{how}");
    }
}

#[test]
fn a_damaged_block_is_named_with_its_place_count_and_instants() {
    let dir = tempfile::tempdir().unwrap();
    let (path, exchanges) = small_segment(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let block = Capture::open(&[&path]).unwrap().segments[0].blocks[1];
    bytes[block.offset as usize + 60] ^= 1;
    fs::write(&path, &bytes).unwrap();

    let mut iterator = Capture::open(&[&path]).unwrap().exchanges();
    let found: Vec<_> = iterator.by_ref().map(|e| e.unwrap()).collect();
    assert_eq!(found, [&exchanges[..2], &exchanges[4..]].concat());
    let [damage] = iterator.damage() else { panic!("{:?}", iterator.damage()) };
    assert_eq!((damage.offset, damage.lost), (block.offset, 2));
    assert!(damage.what.contains("2 exchanges"), "{}", damage.what);
    assert!(damage.what.contains("from 1970-01-01T00:00:00.000001200Z"), "{}", damage.what);
}

#[test]
fn zeros_after_a_power_cut_are_damage_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (path, exchanges) = small_segment(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let last = Capture::open(&[&path]).unwrap().segments[0].blocks[2];
    bytes[last.offset as usize..].fill(0);
    assert_eq!(read_damaged(&path, &bytes, &exchanges, "zeroed tail").unwrap().read, 4);
}

#[test]
fn two_recorders_with_overlapping_blocks_merge_in_order_of_arrival() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for boot in 0..2 {
        let mut writer = Writer::create(config(dir.path(), boot)).unwrap();
        let mut totals = Totals::default();
        for n in 0..40_u64 {
            // Written when they end: neighbours swapped, every tenth a long one that arrived far earlier.
            let arrival = 1_000_000 + (n ^ 1) * 1_000 + boot * 500 - if n % 10 == 9 { 15_000 } else { 0 };
            writer.append(&sanitized(boot * 1_000 + n, arrival)).unwrap();
            expected.push((arrival, boot * 1_000 + n));
            if n % 4 == 3 {
                writer.flush(&mut |n| totals.record(n)).unwrap();
            }
        }
        writer.finish(&mut |n| totals.record(n)).unwrap();
    }
    expected.sort_unstable();
    let found: Vec<_> = read(dir.path()).iter().map(|e| (e.arrival.0, e.id.0 as u64)).collect();
    assert_eq!(found, expected);
    assert!(Capture::verify(&[dir.path()]).unwrap().is_whole());
}

#[test]
fn only_blocks_that_overlap_in_time_are_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(config(dir.path(), 7)).unwrap();
    let mut totals = Totals::default();
    for n in 0..100 {
        writer.append(&sanitized(n, n * 10)).unwrap();
        if n % 4 == 3 {
            writer.flush(&mut |n| totals.record(n)).unwrap();
        }
    }
    writer.finish(&mut |n| totals.record(n)).unwrap();
    let mut exchanges = Capture::open(&[dir.path()]).unwrap().exchanges();
    let mut most = 0;
    while exchanges.next().is_some() {
        most = most.max(exchanges.open_blocks());
    }
    assert_eq!(most, 1);
}

/// Three segments of boot 7, with a request carried over each border.
fn three_segments(dir: &Path) -> Vec<PathBuf> {
    let mut writer = Writer::create(WriterConfig { max_bytes: 1, ..config(dir, 7) }).unwrap();
    let mut totals = Conservation::default();
    for n in 0..3 {
        writer.append(&sanitized(n, n * 10)).unwrap();
        totals.seen = (n + 2).min(3);
        writer
            .flush(&mut |written| {
                totals.recorded += written;
                totals
            })
            .unwrap();
    }
    writer.finish(&mut |_| totals).unwrap();
    segments(dir)
}

#[test]
fn the_law_of_a_capture_sees_through_its_segments() {
    let dir = tempfile::tempdir().unwrap();
    let paths = three_segments(dir.path());
    assert_eq!(paths.len(), 3);
    let verification = Capture::verify(&[dir.path()]).unwrap();
    assert!(verification.is_whole(), "{:?}", verification.findings);
    let whole = Conservation { seen: 3, recorded: 3, ..Conservation::default() };
    assert_eq!(verification.stats.conservation, whole);

    let middle = Capture::open(&paths[1..2]).unwrap().stats().conservation;
    assert_eq!(middle, Conservation { carried_in: 1, seen: 1, recorded: 1, carried_out: 1, ..whole });
    assert!(middle.holds());
}

#[test]
fn a_segment_missing_in_the_middle_is_found_and_one_at_the_front_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    let paths = three_segments(dir.path());
    fs::remove_file(&paths[1]).unwrap();
    let verification = Capture::verify(&[dir.path()]).unwrap();
    let [finding] = &verification.findings[..] else { panic!("{:?}", verification.findings) };
    assert!(finding.what.contains("segment 1 is missing"), "{}", finding.what);
    assert!(verification.stats.conservation.holds());

    fs::remove_file(&paths[0]).unwrap();
    let verification = Capture::verify(&[dir.path()]).unwrap();
    assert!(verification.is_whole());
    assert!(verification.notes[0].contains("begins with segment 2"), "{:?}", verification.notes);
}

#[test]
fn the_dataset_id_depends_on_content_alone() {
    let dir = tempfile::tempdir().unwrap();
    let paths = three_segments(dir.path());
    let id = Capture::open(&[dir.path()]).unwrap().stats().dataset_id;
    let other = tempfile::tempdir().unwrap();
    for (n, path) in paths.iter().rev().enumerate() {
        fs::copy(path, other.path().join(format!("{n}.ucap"))).unwrap();
    }
    assert_eq!(Capture::open(&[other.path()]).unwrap().stats().dataset_id, id);
    // Twice the same file is once its exchanges.
    let twice = [dir.path().to_owned(), paths[0].clone()];
    assert_eq!(Capture::open(&twice).unwrap().stats().exchanges, 3);
    assert_ne!(Capture::open(&paths[..2]).unwrap().stats().dataset_id, id);
}

#[test]
fn what_is_no_capture_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let said = |path: &Path| Capture::open(&[path]).unwrap_err().to_string();
    assert!(said(dir.path()).starts_with("no *.ucap in "), "{}", said(dir.path()));
    assert!(said(&dir.path().join("absent")).starts_with("cannot read "));

    let foreign = dir.path().join("foreign.ucap");
    fs::write(&foreign, "{\"not\": \"a capture\"}").unwrap();
    assert!(said(&foreign).contains("is not a capture"), "{}", said(&foreign));
    assert!(said(dir.path()).contains("foreign.ucap"), "{}", said(dir.path()));

    fs::write(&foreign, b"\x89UCAP\r\n").unwrap();
    assert!(said(&foreign).contains("inside its header"), "{}", said(&foreign));
    assert!(said(dir.path()).contains("inside its header"), "{}", said(dir.path()));
}

#[test]
fn an_empty_file_beside_segments_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    three_segments(dir.path());
    fs::write(dir.path().join("0.ucap"), "").unwrap();
    let capture = Capture::open(&[dir.path()]).unwrap();
    assert_eq!((capture.stats().exchanges, capture.damage().len()), (3, 1));
}

#[test]
fn counters_that_do_not_add_up_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(config(dir.path(), 7)).unwrap();
    writer.append(&sanitized(1, 10)).unwrap();
    writer.finish(&mut |_| Conservation { seen: 1, recorded: 2, ..Conservation::default() }).unwrap();
    let verification = Capture::verify(&[dir.path()]).unwrap();
    let whats: Vec<_> = verification.findings.iter().map(|finding| &finding.what[..]).collect();
    assert_eq!(whats.len(), 2, "{whats:?}");
    assert!(whats[0].contains("do not add up") && whats[1].contains("counts 2 recorded, its blocks hold 1"));
}

/// Replaces the footer of a segment by one with another index, whole by its checksum.
fn with_index(path: &Path, change: impl FnOnce(&mut Vec<crate::segment::BlockEntry>)) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let at = Capture::open(&[path]).unwrap().segments[0].body_end as usize;
    crate::segment::tests::with_index(&bytes, at, change)
}

#[test]
fn an_index_that_does_not_fit_the_file_gives_no_exchange_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (path, exchanges) = small_segment(dir.path());
    let twice = with_index(&path, |blocks| blocks.push(blocks[0]));
    let swapped = with_index(&path, |blocks| blocks.swap(0, 2));
    let beyond = with_index(&path, |blocks| blocks[2].stored_len += 10_000);
    let shifted = with_index(&path, |blocks| blocks[1].offset += 1);
    let fewer = with_index(&path, |blocks| blocks.truncate(2));
    // An index in order is believed; a block that is not where it says is named and its exchanges are lost.
    for (bytes, how, left) in
        [(twice, "twice", 6), (swapped, "swapped", 6), (beyond, "beyond", 6), (shifted, "shifted", 4)]
    {
        assert_eq!(read_damaged(&path, &bytes, &exchanges, how).unwrap().read, left, "{how}");
    }
    assert_eq!(read_damaged(&path, &fewer, &exchanges, "fewer").unwrap().read, 4);
}

#[test]
fn a_file_full_of_beginnings_of_footers_is_read_in_time_linear_in_its_length() {
    let dir = tempfile::tempdir().unwrap();
    let (path, exchanges) = small_segment(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let footer = Capture::open(&[&path]).unwrap().segments[0].body_end as usize;
    bytes.truncate(footer);
    for _ in 0..200_000 {
        bytes.extend_from_slice(b"\x8bUFTR\r\n\x1a");
        bytes.extend_from_slice(&1_000_000_u32.to_le_bytes());
    }
    let begin = std::time::Instant::now();
    assert_eq!(read_damaged(&path, &bytes, &exchanges, "footers").unwrap().read, 6);
    // Reading a megabyte for each would take minutes.
    assert!(begin.elapsed().as_secs() < 30, "{:?}", begin.elapsed());
}
