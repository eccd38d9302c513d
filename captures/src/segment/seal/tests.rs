//! Encrypted segments: what they show without their key, and that no change of them goes unnoticed.

use std::fs;

use super::*;
use crate::capture::{Capture, CaptureError, Verification};
use crate::exchange::Exchange;
use crate::segment::frame::TRAILER_LEN;
use crate::segment::tests::{Totals, config, exchange, sanitized, segments};
use crate::segment::{Writer, WriterConfig};
use crate::source::local;

/// Three blocks of two exchanges each, in one closed segment.
struct Sample {
    _dir: tempfile::TempDir,
    path: PathBuf,
    bytes: Vec<u8>,
    exchanges: Vec<Exchange>,
    keys: CaptureKeys,
    head_len: usize,
}

impl Sample {
    fn new(key: Option<CaptureKey>) -> Sample {
        let dir = tempfile::tempdir().unwrap();
        let exchanges: Vec<_> = (0..6).map(|n| exchange(n, 1_000 + n * 100)).collect();
        let mut writer = Writer::create(WriterConfig { key: key.clone(), ..config(dir.path(), 7) }).unwrap();
        let mut totals = Totals::default();
        for pair in exchanges.chunks(2) {
            for exchange in pair {
                writer.append(&sanitized(exchange.id.0 as u64, exchange.arrival.0)).unwrap();
            }
            writer.flush(&mut |n| totals.record(n)).unwrap();
        }
        writer.finish(&mut |n| totals.record(n)).unwrap();
        let [path] = &segments(dir.path())[..] else { panic!("one segment") };
        let bytes = fs::read(path).unwrap();
        let head_len = 20 + u32_at(&bytes, 12).unwrap() as usize;
        let keys = key.map(CaptureKeys::from).unwrap_or_default();
        Sample { path: path.clone(), bytes, exchanges, keys, head_len, _dir: dir }
    }

    fn sealed() -> Sample {
        Self::new(Some(CaptureKey::random()))
    }

    fn open(&self) -> Result<Capture, CaptureError> {
        Capture::open_found(local(&self.path).unwrap(), &self.keys)
    }

    /// Offsets where its frames begin, the footer last, and the end of the footer.
    fn frames(&self) -> Vec<usize> {
        let (mut at, mut frames) = (self.head_len, Vec::new());
        while let Some((_, whole)) = parse_outer(&self.bytes[at..]) {
            frames.push(at);
            at += whole as usize;
        }
        assert_eq!(at, self.bytes.len() - TRAILER_LEN);
        frames.push(at);
        frames
    }

    /// Reads the segment with `bytes` in its place: nothing but the originals comes out, and what is missing is told.
    /// `None` when it is refused as a whole.
    fn read_damaged(&self, bytes: &[u8], how: &str) -> Option<(usize, Verification)> {
        fs::write(&self.path, bytes).unwrap();
        let capture = match self.open() {
            Ok(capture) => capture,
            Err(CaptureError::Io { source, .. }) => panic!("{how}: {source}"),
            Err(_) => return None,
        };
        let verification = capture.verified().unwrap();
        assert!(!verification.is_whole(), "{how}: not noticed");
        let found: Vec<_> = capture.exchanges().map(|e| e.unwrap()).collect();
        assert!(found.iter().all(|exchange| self.exchanges.contains(exchange)), "{how}: misread");
        assert_eq!(verification.read, found.len() as u64, "{how}");
        Some((found.len(), verification))
    }
}

#[test]
fn with_its_key_an_encrypted_segment_is_read_like_any_other() {
    let sample = Sample::sealed();
    let capture = sample.open().unwrap();
    let verification = capture.verified().unwrap();
    assert!(verification.is_whole(), "{:?}", verification.findings);
    let found: Vec<_> = capture.exchanges().map(|e| e.unwrap()).collect();
    assert_eq!(found, sample.exchanges);
    assert_eq!(verification.stats.conservation.recorded, 6);
}

#[test]
fn without_its_key_only_the_header_is_readable() {
    let mut sample = Sample::sealed();
    let body = &sample.bytes[sample.head_len..sample.bytes.len() - TRAILER_LEN];
    for clear in [&b"UBLK"[..], b"UCHK", b"UFTR", b"conservation", b"/predict"] {
        assert!(memchr::memmem::find(body, clear).is_none(), "{:?} is in the clear", clear.escape_ascii());
    }
    let id = sample.keys.ids()[0].clone();
    sample.keys = CaptureKeys::none();
    let refusal = sample.open().unwrap_err();
    let said = refusal.to_string();
    assert!(said.contains(&format!("is encrypted under key {id}: give --capture-key-file")), "{said}");
    assert!(said.contains(CAPTURE_KEY_VARIABLE), "{said}");
    let CaptureError::Locked(locked) = refusal else { panic!("{refusal:?}") };
    assert_eq!((locked.origin.boot, locked.seq, locked.bytes), (7, 0, sample.bytes.len() as u64));

    sample.keys = CaptureKey::random().into();
    let said = sample.open().unwrap_err().to_string();
    assert!(said.contains(&id) && said.contains(&sample.keys.ids()[0]), "{said}");
}

#[test]
fn a_sealed_segment_cut_at_any_byte_gives_its_whole_blocks_and_says_so() {
    let sample = Sample::sealed();
    let ends: Vec<_> = sample.open().unwrap().block_offsets().map(|at| at as usize).collect();
    let frames = sample.frames();
    let ends: Vec<_> = ends.iter().map(|at| *frames.iter().find(|frame| *frame > at).unwrap()).collect();
    for len in 0..sample.bytes.len() {
        let how = format!("cut to {len} bytes");
        let whole = ends.iter().filter(|end| **end <= len).count();
        match sample.read_damaged(&sample.bytes[..len], &how) {
            Some((found, _)) => assert_eq!(found, whole * 2, "{how}"),
            None => assert_eq!(whole, 0, "{how}"),
        }
    }
}

#[test]
fn a_bit_flipped_anywhere_in_a_sealed_segment_is_found_and_costs_at_most_its_block() {
    let sample = Sample::sealed();
    let footer = sample.frames()[sample.frames().len() - 2];
    for (closed, end) in [(true, sample.bytes.len()), (false, footer)] {
        for at in 0..end {
            let mut flipped = sample.bytes[..end].to_vec();
            flipped[at] ^= 1 << (at % 8);
            let how = format!("bit {} of byte {at} flipped, closed: {closed}", at % 8);
            match sample.read_damaged(&flipped, &how) {
                // The head holds the salt of the segment's key: without it nothing opens.
                Some((found, verification)) if at < sample.head_len => {
                    assert_eq!(found, 0, "{how}");
                    let what = &verification.findings[0].what;
                    assert!(what.contains("header is damaged"), "{how}: {what}");
                }
                Some((found, verification)) => {
                    assert!(found >= 4, "{how}: {found} left");
                    // By the index, or by the checkpoint after what does not open.
                    let lost: u64 = verification.findings.iter().map(|finding| finding.lost).sum();
                    assert_eq!(found as u64 + lost, 6, "{how}: {:?}", verification.findings);
                    assert!(verification.findings.iter().any(|damage| damage.offset <= at as u64), "{how}");
                }
                None => assert!(at < 10, "{how}: refused"),
            }
        }
    }
}

#[test]
fn frames_cannot_be_moved_repeated_dropped_or_put_in() {
    let sample = Sample::sealed();
    let frames = sample.frames();
    let [first, second, third, fourth, ..] = frames[..] else { panic!("{frames:?}") };
    let bytes = &sample.bytes;
    let footer = frames[frames.len() - 2];
    let without_footer = &bytes[..footer];
    let other = Sample::new(Some(sample.keys.0[0].clone()));
    let plain = Sample::new(None);
    let plain_block = &plain.bytes[plain.head_len..];

    let mut swapped = without_footer.to_vec();
    swapped[first..third].rotate_left(second - first);
    let mut dropped = without_footer.to_vec();
    dropped.drain(second..third);
    let repeated = [&without_footer[..second], &bytes[first..second], &bytes[second..footer]].concat();
    let foreign = [&bytes[..first], &other.bytes[first..second], &bytes[second..]].concat();
    let inserted = [without_footer, plain_block].concat();
    let replaced = [&bytes[..first], plain_block].concat();
    let tail_moved = [&bytes[..second], &bytes[third..fourth]].concat();
    let cases = [
        ("swapped", swapped),
        ("dropped", dropped),
        ("repeated", repeated),
        ("foreign", foreign),
        ("inserted", inserted),
        ("replaced", replaced),
        ("tail moved", tail_moved),
    ];
    for (how, changed) in cases {
        let (found, verification) = sample.read_damaged(&changed, how).unwrap();
        let named = verification
            .findings
            .iter()
            .any(|damage| damage.what.contains("does not open") || damage.what.contains("no whole"));
        assert!(named, "{how}: {:?}", verification.findings);
        assert!(found <= sample.exchanges.len(), "{how}: {found}");
    }
}

#[test]
fn the_counters_of_a_removed_footer_are_those_of_the_last_checkpoint() {
    let sample = Sample::sealed();
    let footer = sample.frames()[sample.frames().len() - 2];
    let (found, verification) = sample.read_damaged(&sample.bytes[..footer], "no footer").unwrap();
    assert_eq!((found, verification.stats.conservation.recorded), (6, 6));
    let [damage] = &verification.findings[..] else { panic!("{:?}", verification.findings) };
    assert!(damage.what.contains("was not closed"), "{}", damage.what);
}

#[test]
fn the_same_exchanges_are_never_sealed_to_the_same_bytes() {
    let key = CaptureKey::random();
    let (one, two) = (Sample::new(Some(key.clone())), Sample::new(Some(key.clone())));
    let tail = |sample: &Sample| sample.bytes[sample.frames()[0] + OUTER_LEN..][..32].to_vec();
    assert_ne!(tail(&one), tail(&two));
    let header = SealHeader::new(&key);
    let mut sealer = Sealer::new(&key, &header, b"head");
    assert_ne!(
        sealer.seal(b"frame", 9).unwrap()[OUTER_LEN..],
        sealer.seal(b"frame", 9).unwrap()[OUTER_LEN..]
    );
}

#[test]
fn an_unknown_cipher_is_refused_with_the_advice_to_upgrade() {
    let sample = Sample::sealed();
    let mut bytes = sample.bytes.clone();
    let at = memchr::memmem::find(&bytes, CIPHER.as_bytes()).unwrap();
    bytes[at] = b'X';
    let crc = crc32fast::hash(&bytes[..sample.head_len - 4]);
    bytes[sample.head_len - 4..sample.head_len].copy_from_slice(&crc.to_le_bytes());
    fs::write(&sample.path, &bytes).unwrap();
    let said = sample.open().unwrap_err().to_string();
    assert!(said.contains("Xhacha20") && said.contains("upgrade understudy"), "{said}");
}

#[test]
fn keys_of_one_material_for_two_uses_are_unrelated() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    fs::write(&path, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n").unwrap();
    let capture = CaptureKey::from_file(&path).unwrap();
    assert_ne!(capture.id(), crate::Key::from_file(&path).unwrap().id());
    assert_eq!(CaptureKeys::find(std::slice::from_ref(&path)).unwrap().ids(), [capture.id()]);
    let shown = format!("{capture:?}");
    let secret: String = capture.0.bytes().iter().map(|b| format!("{b:02x}")).collect();
    assert!(shown.contains(&capture.id()) && !shown.contains(&secret[..8]), "{shown}");
    fs::write(&path, "too short").unwrap();
    assert!(CaptureKey::from_file(&path).unwrap_err().to_string().contains("at least 32 are needed"));
}
