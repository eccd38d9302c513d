//! Round trips of arbitrary exchanges, rotation, the chain of counters, writing to a disk that refuses.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::{collection, option};

use super::*;
use crate::capture::Capture;
use crate::exchange::{
    Body, Chunk, Ending, Exchange, ExchangeId, Headers, HttpVersion, Place, Redaction, Request, Response,
    Timing,
};
use crate::sanitize::Sanitized;

/// A small exchange whose texts differ by `n`.
pub(crate) fn exchange(n: u64, arrival: u64) -> Exchange {
    let body = Bytes::from(format!("{{\"text\":\"review number {n} was rather good\"}}"));
    Exchange {
        id: ExchangeId(u128::from(n)),
        connection: n / 3,
        index: (n % 3) as u32,
        arrival: UnixNanos(arrival),
        request: Request {
            method: Bytes::from_static(b"POST"),
            target: Bytes::from_static(b"/predict"),
            version: HttpVersion::Http11,
            headers: vec![(Bytes::from_static(b"Content-Type"), Bytes::from_static(b"application/json"))]
                .into(),
            body: Body { original_len: body.len() as u64, bytes: body, ..Body::default() },
            trailers: Headers::default(),
        },
        response: Some(Response {
            status: 200,
            version: HttpVersion::Http11,
            headers: Headers::default(),
            body: Body { bytes: Bytes::from_static(b"{}"), original_len: 2, ..Body::default() },
            trailers: Headers::default(),
        }),
        ending: Ending::Complete,
        timing: Timing { request_end: Some(10), response_start: Some(1_000), end: 1_500 },
        chunks: Vec::new(),
        redactions: Default::default(),
        trace_id: None,
        stamp: crate::exchange::Stamp::default(),
    }
}

pub(crate) fn sanitized(n: u64, arrival: u64) -> Sanitized {
    Sanitized(exchange(n, arrival))
}

/// A writer of small blocks for boot `boot`.
pub(crate) fn config(dir: &Path, boot: u64) -> WriterConfig {
    WriterConfig {
        dir: dir.to_owned(),
        max_bytes: u64::MAX,
        max_age: Duration::MAX,
        block_bytes: 1 << 20,
        origin: Origin { producer: "test 1".into(), boot, sample: 1.0, ..Origin::default() },
        key: None,
    }
}

/// Running totals of a recorder that records everything.
#[derive(Default)]
pub(crate) struct Totals(pub(crate) Conservation);

impl Totals {
    /// `n` requests go by and are recorded.
    pub(crate) fn record(&mut self, n: u64) -> Conservation {
        self.0.seen += n;
        self.0.recorded += n;
        self.0
    }
}

pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

pub(crate) fn read(dir: &Path) -> Vec<Exchange> {
    Capture::open(&[dir]).unwrap().exchanges().map(|exchange| exchange.unwrap()).collect()
}

/// `bytes`, a closed segment, with another index in the footer at `at`: whole by every checksum.
pub(crate) fn with_index(bytes: &[u8], at: usize, change: impl FnOnce(&mut Vec<BlockEntry>)) -> Vec<u8> {
    let footer = &bytes[at..bytes.len() - frame::TRAILER_LEN];
    let mut footer: Footer = frame::open_map(footer, frame::MAP_FRAME_HEAD_LEN).unwrap();
    change(&mut footer.blocks);
    let mut changed = bytes[..at].to_vec();
    changed.extend(frame::map_frame(frame::FOOTER_MAGIC, &footer).unwrap());
    changed.extend(frame::trailer(at as u64));
    changed
}

fn bytes(max: usize) -> impl Strategy<Value = Bytes> {
    collection::vec(any::<u8>(), 0..max).prop_map(Bytes::from)
}

fn headers() -> impl Strategy<Value = Headers> {
    collection::vec((bytes(12), bytes(40)), 0..5).prop_map(Headers::from)
}

fn body() -> impl Strategy<Value = Body> {
    let coding = option::of("[a-z]{1,8}");
    (bytes(300), option::of(any::<u64>()), coding, any::<bool>()).prop_map(
        |(bytes, original_len, decoded_from, truncated)| Body {
            original_len: original_len.unwrap_or(bytes.len() as u64),
            bytes,
            decoded_from,
            truncated,
        },
    )
}

fn version() -> impl Strategy<Value = HttpVersion> {
    prop_oneof![Just(HttpVersion::Http10), Just(HttpVersion::Http11), Just(HttpVersion::Http2)]
}

fn any_request() -> impl Strategy<Value = Request> {
    (bytes(8), bytes(40), version(), headers(), body(), headers()).prop_map(
        |(method, target, version, headers, body, trailers)| Request {
            method,
            target,
            version,
            headers,
            body,
            trailers,
        },
    )
}

fn any_response() -> impl Strategy<Value = Response> {
    (any::<u16>(), version(), headers(), body(), headers()).prop_map(
        |(status, version, headers, body, trailers)| Response { status, version, headers, body, trailers },
    )
}

/// Every field takes every kind of value, also those that no recorder writes today.
pub(crate) fn any_exchange() -> impl Strategy<Value = Exchange> {
    let place = (any::<u128>(), any::<u64>(), any::<u32>(), any::<u64>().prop_map(UnixNanos));
    let messages = (any_request(), option::of(any_response()), any::<u8>().prop_map(Ending::from_code));
    let timing = (option::of(any::<u64>()), option::of(any::<u64>()), any::<u64>())
        .prop_map(|(request_end, response_start, end)| Timing { request_end, response_start, end });
    let chunks = collection::vec((any::<u64>(), any::<u32>()), 0..4)
        .prop_map(|chunks| chunks.into_iter().map(|(offset, len)| Chunk { offset, len }).collect());
    let redactions = collection::vec(
        ("[a-z]{1,9}", any::<u8>(), any::<u32>()).prop_map(|(class, place, count)| Redaction {
            class: class.into(),
            place: Place::from_code(place),
            count,
        }),
        0..4,
    );
    (place, messages, timing, chunks, redactions, option::of(any::<u128>())).prop_map(
        |(
            (id, connection, index, arrival),
            (request, response, ending),
            timing,
            chunks,
            redactions,
            trace_id,
        )| {
            Exchange {
                id: ExchangeId(id),
                connection,
                index,
                arrival,
                request,
                response,
                ending,
                timing,
                chunks,
                redactions: redactions.into(),
                trace_id,
                stamp: crate::exchange::Stamp::default(),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_in_order_of_arrival(
        mut exchanges in collection::vec(any_exchange(), 0..30),
        block_bytes in 1_usize..8_000,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(WriterConfig { block_bytes, ..config(dir.path(), 7) }).unwrap();
        let mut written = 0;
        for exchange in &exchanges {
            written += writer.append(&Sanitized(exchange.clone())).unwrap();
        }
        let mut totals = Totals::default();
        written += writer.finish(&mut |n| totals.record(written + n)).unwrap();
        prop_assert_eq!(written, exchanges.len() as u64);

        exchanges.sort_by_key(|exchange| (exchange.arrival, exchange.id));
        prop_assert_eq!(read(dir.path()), exchanges);
        let verification = Capture::verify(&[dir.path()]).unwrap();
        prop_assert!(verification.is_whole(), "{:?}", verification.findings);
        prop_assert_eq!(verification.stats.conservation.recorded, written);
    }
}

#[test]
fn a_killed_recorder_leaves_everything_it_flushed_and_its_counters() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(config(dir.path(), 7)).unwrap();
    let mut totals = Totals::default();
    writer.append(&sanitized(1, 100)).unwrap();
    writer.append(&sanitized(2, 200)).unwrap();
    let under_way = Conservation { seen: 4, recorded: 2, queue_full: 1, ..Conservation::default() };
    writer
        .flush(&mut |n| {
            totals.0 = Conservation { recorded: n, ..under_way };
            totals.0
        })
        .unwrap();
    writer.append(&sanitized(3, 300)).unwrap();
    drop(writer);

    let capture = Capture::open(&[dir.path()]).unwrap();
    let stats = capture.stats();
    assert_eq!(stats.exchanges, 2);
    assert_eq!(stats.conservation, Conservation { carried_out: 1, ..under_way });
    let [damage] = capture.damage() else { panic!("{:?}", capture.damage()) };
    assert!(damage.what.contains("was not closed"), "{}", damage.what);
    assert!(damage.what.contains("had seen 4 requests and recorded 2"), "{}", damage.what);
}

#[test]
fn segments_rotate_by_size_and_age_but_not_while_they_hold_nothing() {
    let limits: [fn(&mut WriterConfig); 2] = [|c| c.max_bytes = 1, |c| c.max_age = Duration::ZERO];
    for limit in limits {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path(), 7);
        limit(&mut config);
        let mut writer = Writer::create(config).unwrap();
        let mut totals = Totals::default();
        for n in 0..3 {
            writer.append(&sanitized(n, n)).unwrap();
            writer.flush(&mut |n| totals.record(n)).unwrap();
            writer.flush(&mut |n| totals.record(n)).unwrap();
        }
        writer.finish(&mut |n| totals.record(n)).unwrap();
        assert_eq!(segments(dir.path()).len(), 3);
        assert!(Capture::verify(&[dir.path()]).unwrap().is_whole());
    }
}

#[test]
fn an_idle_recorder_writes_nothing_and_a_dropping_one_its_counters() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(config(dir.path(), 7)).unwrap();
    let path = writer.current().unwrap().to_owned();
    let len = || std::fs::metadata(&path).unwrap().len();
    let begun = len();
    let mut totals = Conservation::default();
    writer.flush(&mut |_| totals).unwrap();
    assert_eq!(len(), begun);
    totals = Conservation { seen: 5, sampled_out: 5, ..totals };
    writer.flush(&mut |_| totals).unwrap();
    let told = len();
    assert!(told > begun);
    writer.flush(&mut |_| totals).unwrap();
    assert_eq!(len(), told);
    drop(writer);
    assert_eq!(Capture::open(&[dir.path()]).unwrap().stats().conservation, totals);
}

#[test]
fn a_segment_without_exchanges_is_closed_with_its_counters() {
    let dir = tempfile::tempdir().unwrap();
    let totals = Conservation { seen: 3, excluded: 3, ..Conservation::default() };
    Writer::create(config(dir.path(), 7)).unwrap().finish(&mut |_| totals).unwrap();
    let verification = Capture::verify(&[dir.path()]).unwrap();
    assert!(verification.is_whole());
    assert_eq!((verification.read, verification.stats.conservation), (0, totals));
}

#[test]
fn keys_of_a_newer_minor_are_ignored_and_a_newer_major_is_refused() {
    #[derive(Serialize)]
    struct NewerHeader {
        boot: u64,
        schema: &'static str,
        colour: &'static str,
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("1.ucap");
    let newer = NewerHeader { boot: 7, schema: SCHEMA, colour: "green" };
    let mut bytes = frame::segment_head(&newer).unwrap();
    bytes[10] = 9;
    let body = bytes.len() - frame::CRC_LEN;
    let crc = crc32fast::hash(&bytes[..body]);
    bytes[body..].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let capture = Capture::open(&[&path]).unwrap();
    assert_eq!(capture.segments().next().unwrap().origin.unwrap().boot, 7);

    bytes[8] = 2;
    std::fs::write(&path, &bytes).unwrap();
    assert!(!Capture::verify(&[&path]).unwrap().is_whole(), "a flipped version is damage");
    let crc = crc32fast::hash(&bytes[..body]);
    bytes[body..].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let refusal = Capture::open(&[&path]).unwrap_err().to_string();
    assert!(
        refusal.ends_with("was written by format 2, this program reads 1: upgrade understudy"),
        "{refusal}"
    );
}

#[test]
fn a_block_that_claims_to_inflate_beyond_its_length_is_refused() {
    let raw = vec![0_u8; 1 << 20];
    let stored = zstd::bulk::compress(&raw, 1).unwrap();
    let header = frame::BlockHeader {
        codec: frame::Codec::Zstd,
        count: 1,
        first: UnixNanos(0),
        last: UnixNanos(0),
        stored_len: stored.len() as u32,
        raw_len: 4096,
        payload_crc: crc32fast::hash(&stored),
    };
    let block = open_block(&header, &stored);
    assert_eq!(block.fault(), Some((&block::BlockFault::Inflate(4096), 1)));
    assert!(block.is_exhausted());
}

fn open_block(header: &frame::BlockHeader, stored: &[u8]) -> block::OpenBlock {
    let stamp = crate::exchange::Stamp::default();
    block::OpenBlock::open(header, stored, stamp, &mut block::Inflater::default())
}

/// A block of one record, as it is in memory once it is open.
fn one_record(spoil: impl FnOnce(&mut Vec<u8>)) -> block::OpenBlock {
    let (mut tables, mut record) = (tables::TableBuilder::default(), Vec::new());
    wire::encode(&exchange(1, 2), 2, None, &mut tables, &mut record).unwrap();
    spoil(&mut record);
    let mut map = Vec::new();
    tables.seal(2, &mut map).unwrap();
    let part = |bytes: Vec<u8>| [&(bytes.len() as u32).to_le_bytes()[..], &bytes].concat();
    let stored = [part(map), part(record)].concat();
    let header = frame::BlockHeader {
        codec: frame::Codec::Raw,
        count: 1,
        first: UnixNanos(2),
        last: UnixNanos(2),
        stored_len: stored.len() as u32,
        raw_len: stored.len() as u32,
        payload_crc: crc32fast::hash(&stored),
    };
    open_block(&header, &stored)
}

#[test]
fn bytes_after_a_record_are_not_ignored() {
    assert_eq!(one_record(|_| ()).pop(), Some(exchange(1, 2)));
    let mut longer = one_record(|record| record.push(0xc0));
    assert_eq!(longer.pop(), None);
    let fault = block::BlockFault::Record { index: 0, fault: wire::RecordFault::Malformed };
    assert_eq!(longer.fault(), Some((&fault, 1)));
}

#[test]
fn a_body_and_the_common_fields_are_read_without_copying_them() {
    let mut block = one_record(|_| ());
    let raw = block.bytes().as_ptr_range();
    let exchange = block.pop().unwrap();
    assert!(raw.contains(&exchange.request.body.bytes.as_ptr()));
    assert!(
        exchange
            .request
            .headers
            .iter()
            .all(|(name, value)| { raw.contains(&name.as_ptr()) && raw.contains(&value.as_ptr()) })
    );
}
