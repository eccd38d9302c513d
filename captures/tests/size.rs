//! A capture of real traffic is small.

#[path = "../benches/format/traffic.rs"]
mod traffic;

use understudy_captures::Capture;
use understudy_captures::segment::Writer;

/// Of the bytes of requests and responses on the wire.
const AT_MOST: f64 = 0.15;

#[test]
fn a_capture_of_real_traffic_takes_at_most_15_percent_of_its_raw_http() {
    let exchanges = traffic::sanitized(7, 4_000);
    let raw: u64 = traffic::observed(7).take(exchanges.len()).map(|e| traffic::wire_len(&e)).sum();
    let dir = tempfile::tempdir().unwrap();
    traffic::write(Writer::create(traffic::config(dir.path(), 7, u64::MAX)).unwrap(), &exchanges);
    let stored = Capture::open(&[dir.path()]).unwrap().stats().bytes;
    let share = stored as f64 / raw as f64;
    assert!(share <= AT_MOST, "{stored} of {raw} bytes: {:.1} %", 100.0 * share);
}
