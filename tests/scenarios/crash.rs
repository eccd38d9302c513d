//! A killed recorder loses at most what was not flushed yet, and the capture says so.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use understudy_tests::peers::{Nginx, wrk};
use understudy_tests::programs::{Sidecar, understudy, understudy_json};

#[test]
fn kill_9_under_load_loses_at_most_the_last_flush_interval() -> Result<()> {
    let nginx = Nginx::answering()?;
    let captures = tempfile::tempdir()?;
    let sidecar = Sidecar::start(&nginx.listen, captures.path(), &[])?;
    let url = format!("http://{}/a", sidecar.listen);
    let load = std::thread::spawn(move || wrk(&url, 5, 2, None));
    // The load's fourth second is the subject here, so time is what is waited for.
    std::thread::park_timeout(Duration::from_secs(3));
    sidecar.process.signal(Signal::KILL)?;
    let killed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs_f64();
    sidecar.process.wait()?;
    load.join().expect("the load generator's thread ends well")?;

    let served: Vec<f64> =
        nginx.log()?.iter().filter_map(|line| line.split(' ').next()?.parse().ok()).collect();
    // One flush interval, the hand-over of a batch, and slack for a loaded machine.
    let safe = served.iter().filter(|instant| **instant < killed - 1.5).count() as u64;
    let dir = captures.path().to_string_lossy().into_owned();
    let stats = understudy_json(&["capture", "stats", "--json", &dir])?;
    let number = |key: &str| stats[key].as_u64().with_context(|| format!("no {key} in {stats}"));
    let accounted = number("exchanges")? + number("queue_full")?;
    assert!(safe > 1_000, "the load ran: {safe}");
    assert!(
        accounted >= safe,
        "{accounted} accounted for, {safe} were answered before the last flush interval"
    );
    assert!(number("exchanges")? <= served.len() as u64, "nothing is invented");

    let verify = understudy(&["capture", "verify", &dir])?;
    assert_eq!(verify.code, 1, "{}{}", verify.stdout, verify.stderr);
    assert!(verify.stdout.contains("not closed"), "says that the recorder was killed: {}", verify.stdout);
    assert!(verify.stdout.contains("recorded"), "says the last known counts: {}", verify.stdout);

    let cat = understudy(&["capture", "cat", "--json", &dir])?;
    assert_eq!(cat.stdout.lines().count() as u64, number("exchanges")?, "what was counted can be read");
    Ok(())
}

#[test]
fn sigterm_under_load_drains_flushes_and_ends_within_seconds() -> Result<()> {
    let nginx = Nginx::answering()?;
    let captures = tempfile::tempdir()?;
    let sidecar = Sidecar::start(&nginx.listen, captures.path(), &[])?;
    let url = format!("http://{}/a", sidecar.listen);
    let load = std::thread::spawn(move || wrk(&url, 3, 4, None));
    std::thread::park_timeout(Duration::from_secs(1));
    let began = std::time::Instant::now();
    sidecar.process.signal(Signal::TERM)?;
    let (status, printed) = sidecar.process.wait()?;
    assert!(status.success(), "{status}: {printed:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "took {:?}", began.elapsed());
    load.join().expect("the load generator's thread ends well").ok();

    let dir = captures.path().to_string_lossy().into_owned();
    let verify = understudy(&["capture", "verify", &dir])?;
    assert_eq!(verify.code, 0, "{}{}", verify.stdout, verify.stderr);
    let stats = understudy_json(&["capture", "stats", "--json", &dir])?;
    assert_eq!(stats["carried_out"].as_u64(), Some(0), "{stats}");
    assert_eq!(stats["seen"].as_u64(), Some(nginx.log()?.len() as u64), "{stats}");
    Ok(())
}
