//! Exchanges encoded and decoded in a second of user CPU time on one core, and the size of a capture:
//! `cargo run --release -p understudy-captures --example format_speed [EXCHANGES]`.

#[path = "../benches/format/traffic.rs"]
mod traffic;

use std::error::Error;
use std::io::Write;

use understudy_captures::Capture;
use understudy_captures::segment::Writer;

/// Ticks of /proc/self/stat in a second, everywhere on Linux.
const TICKS: f64 = 100.0;

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1).map_or(Ok(1_000_000), |n| n.parse::<usize>())?;
    let distinct = traffic::sanitized(7, count.min(50_000));
    let dir = tempfile::tempdir()?;
    let rounds = count.div_ceil(distinct.len());
    let total = rounds * distinct.len();

    let begin = user_seconds()?;
    for round in 0..rounds {
        let config = traffic::config(dir.path(), round as u64, u64::MAX);
        traffic::write(Writer::create(config)?, &distinct);
    }
    let encoding = user_seconds()? - begin;

    let begin = user_seconds()?;
    let mut read = 0;
    for round in std::fs::read_dir(dir.path())? {
        read += Capture::open(&[round?.path()])?.exchanges().filter(Result::is_ok).count();
    }
    let decoding = user_seconds()? - begin;
    assert_eq!(read, total);

    let stored: u64 = Capture::open(&[dir.path()])?.stats().bytes;
    let raw: u64 = traffic::observed(7).take(distinct.len()).map(|e| traffic::wire_len(&e)).sum();
    let mut out = std::io::stdout().lock();
    writeln!(out, "encode  {:>10.0} exchanges a second of user CPU", total as f64 / encoding)?;
    writeln!(out, "decode  {:>10.0} exchanges a second of user CPU", total as f64 / decoding)?;
    let (each, wire) = (stored as f64 / total as f64, raw as f64 / distinct.len() as f64);
    writeln!(
        out,
        "size    {each:.1} bytes an exchange of {wire:.0} on the wire: {:.2} %",
        100.0 * each / wire
    )?;
    Ok(())
}

fn user_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').ok_or("no stat")?.1;
    Ok(fields.split_whitespace().nth(11).ok_or("no user time")?.parse::<f64>()? / TICKS)
}
