//! Exchanges encoded and decoded in a second of user CPU time on one core, the size of a capture, and what encryption
//! adds: `cargo run --release -p understudy-captures --example format_speed [EXCHANGES]`.

#[path = "../benches/format/traffic.rs"]
mod traffic;

use std::error::Error;
use std::fs;
use std::io::Write;

use understudy_captures::segment::{Writer, WriterConfig};
use understudy_captures::{Capture, CaptureKey, CaptureKeys, Sanitized, source};

/// Ticks of /proc/self/stat in a second, everywhere on Linux.
const TICKS: f64 = 100.0;
const MEGABYTE: f64 = 1e6;

/// User CPU time of both ways, and the bytes between them.
#[derive(Default)]
struct Cost {
    encoding: f64,
    decoding: f64,
    bytes: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1).map_or(Ok(1_000_000), |n| n.parse::<usize>())?;
    let distinct = traffic::sanitized(7, count.min(50_000));
    let rounds = count.div_ceil(distinct.len());
    let total = (rounds * distinct.len()) as f64;
    let (mut clear, mut sealed) = (Cost::default(), Cost::default());
    // In turns: what else the machine does slows both.
    for _ in 0..rounds {
        clear.add(&distinct, None)?;
        sealed.add(&distinct, Some(CaptureKey::random()))?;
    }

    let mut out = std::io::stdout().lock();
    writeln!(out, "encode  {:>10.0} exchanges a second of user CPU", total / clear.encoding)?;
    writeln!(out, "decode  {:>10.0} exchanges a second of user CPU", total / clear.decoding)?;
    let raw: u64 = traffic::observed(7).take(distinct.len()).map(|e| traffic::wire_len(&e)).sum();
    let (each, wire) = (clear.bytes as f64 / total, raw as f64 / distinct.len() as f64);
    let share = 100.0 * each / wire;
    writeln!(out, "size    {each:.1} bytes an exchange of {wire:.0} on the wire: {share:.2} %")?;
    let added = |sealed: f64, clear_time: f64| {
        let per_megabyte = 1e3 * (sealed - clear_time) / (clear.bytes as f64 / MEGABYTE);
        format!(
            "{:.3} times the time in the clear, {per_megabyte:+.2} ms a MB of capture",
            sealed / clear_time
        )
    };
    writeln!(out, "sealed  encode {}", added(sealed.encoding, clear.encoding))?;
    writeln!(out, "sealed  decode {}", added(sealed.decoding, clear.decoding))?;
    Ok(())
}

// === impl Cost ===

impl Cost {
    /// Writes `exchanges` into a capture and reads it.
    fn add(&mut self, exchanges: &[Sanitized], key: Option<CaptureKey>) -> Result<(), Box<dyn Error>> {
        let dir = tempfile::tempdir()?;
        let config = WriterConfig { key: key.clone(), ..traffic::config(dir.path(), 7, u64::MAX) };
        let begin = user_seconds()?;
        traffic::write(Writer::create(config)?, exchanges);
        let written = user_seconds()?;
        let keys = key.map(CaptureKeys::from).unwrap_or_default();
        let capture = Capture::open_found(source::local(dir.path())?, &keys)?;
        let read = capture.exchanges().filter(Result::is_ok).count();
        self.decoding += user_seconds()? - written;
        self.encoding += written - begin;
        self.bytes += capture.stats().bytes;
        assert_eq!(read, exchanges.len());
        Ok(())
    }
}

fn user_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').ok_or("no stat")?.1;
    Ok(fields.split_whitespace().nth(11).ok_or("no user time")?.parse::<f64>()? / TICKS)
}
