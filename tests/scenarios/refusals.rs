//! Bad input gets one clear line that names the place and the way out, and the documented exit code.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::Signal;
use understudy_tests::peers::{Nginx, h2load};
use understudy_tests::process::{Finished, finish};
use understudy_tests::programs::{Sidecar, program, understudy};

/// A small real capture: one closed segment in `dir`.
fn record(dir: &Path) -> Result<PathBuf> {
    let nginx = Nginx::answering()?;
    let sidecar = Sidecar::start(&nginx.listen, dir, &[])?;
    h2load(&format!("http://{}/predict", sidecar.listen), 300, 4, None)?;
    sidecar.process.signal(Signal::TERM)?;
    sidecar.process.wait()?;
    let segment = std::fs::read_dir(dir)?.next().context("one segment was written")??.path();
    Ok(segment)
}

/// One line on standard error, with every one of `words`, and the exit code.
fn assert_refused(finished: &Finished, code: i32, words: &[&str]) {
    assert_eq!(finished.code, code, "{finished:?}");
    assert_eq!(finished.stderr.trim_end().lines().count(), 1, "one line: {}", finished.stderr);
    for word in words {
        assert!(finished.stderr.contains(word), "{word:?} is not in {}", finished.stderr);
    }
}

#[test]
fn captures_that_cannot_be_read_are_named() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let missing = dir.path().join("none.ucap");
    assert_refused(
        &understudy(&["capture", "stats", missing.to_str().context("utf-8")?])?,
        66,
        &["none.ucap"],
    );

    let foreign = dir.path().join("foreign.ucap");
    std::fs::write(&foreign, "GET / HTTP/1.1\r\nHost: this is no capture\r\n\r\n")?;
    let refused = understudy(&["capture", "stats", foreign.to_str().context("utf-8")?])?;
    assert_refused(&refused, 65, &["foreign.ucap"]);

    let empty = tempfile::tempdir()?;
    let refused = understudy(&["capture", "stats", empty.path().to_str().context("utf-8")?])?;
    assert_refused(&refused, 66, &[empty.path().to_str().context("utf-8")?]);
    Ok(())
}

#[test]
fn a_newer_format_is_refused_with_the_advice_to_upgrade() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let segment = record(dir.path())?;
    let mut bytes = std::fs::read(&segment)?;
    // The major version follows the magic of 8 bytes.
    bytes[8] = 9;
    std::fs::write(&segment, &bytes)?;
    let damaged = understudy(&["capture", "verify", segment.to_str().context("utf-8")?])?;
    assert_eq!(damaged.code, 1, "a flipped bit of the version is damage: {damaged:?}");

    let map = u32::from_le_bytes(bytes[12..16].try_into()?) as usize;
    let crc = crc32(&bytes[..16 + map]);
    bytes[16 + map..20 + map].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&segment, bytes)?;
    let refused = understudy(&["capture", "stats", segment.to_str().context("utf-8")?])?;
    assert_refused(&refused, 65, &["9", "upgrade"]);
    Ok(())
}

/// That of zlib, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let shifted = |crc: u32, _| (crc >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1));
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), shifted))
}

#[test]
fn damage_is_found_named_and_survived() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let segment = record(dir.path())?;
    let whole = std::fs::read(&segment)?;
    let path = segment.to_str().context("utf-8")?;
    assert_eq!(understudy(&["capture", "verify", path])?.code, 0);

    let mut flipped = whole.clone();
    let middle = whole.len() / 2;
    flipped[middle] ^= 0x10;
    std::fs::write(&segment, flipped)?;
    let verify = understudy(&["capture", "verify", path])?;
    assert_eq!(verify.code, 1, "{}{}", verify.stdout, verify.stderr);
    assert!(verify.stdout.contains("byte"), "names the place: {}", verify.stdout);

    std::fs::write(&segment, &whole[..whole.len() - 40])?;
    let verify = understudy(&["capture", "verify", path])?;
    assert_eq!(verify.code, 1, "{}{}", verify.stdout, verify.stderr);
    let cat = understudy(&["capture", "cat", "--json", path])?;
    assert_eq!(cat.stdout.lines().count(), 300, "only the footer is lost: {}", cat.stderr);
    Ok(())
}

#[test]
fn plans_are_refused_before_a_socket_opens() -> Result<()> {
    let dir = tempfile::tempdir()?;
    record(dir.path())?;
    let capture = dir.path().to_str().context("utf-8")?;
    let dead = understudy_tests::peers::free_address()?;
    let candidate = format!("big=http://{dead}");
    let out = tempfile::tempdir()?;
    let runs = out.path().to_str().context("utf-8")?;
    let replay = |more: &[&str]| understudy(&[&["replay", capture, "--out", runs], more].concat());

    assert_refused(&replay(&["--candidate", &candidate, "--baseline", "small"])?, 64, &["small", "big"]);
    assert_refused(&replay(&["--candidate", &candidate])?, 69, &["big", &dead]);
    assert_refused(&replay(&["--candidate", "big=ftp://h/"])?, 64, &["ftp"]);

    let file = out.path().join("not a directory");
    std::fs::write(&file, "")?;
    let below = file.join("runs");
    let refused = understudy(&[
        "replay",
        capture,
        "--candidate",
        &candidate,
        "--out",
        below.to_str().context("utf-8")?,
    ])?;
    assert_refused(&refused, 73, &["not a directory"]);

    let plan = out.path().join("plan.yaml");
    std::fs::write(&plan, format!("captures: [{capture}]\ncandidates:\n  big: http://{dead}\nspeeed: 2\n"))?;
    let refused = understudy(&["replay", plan.to_str().context("utf-8")?])?;
    assert_refused(&refused, 64, &["plan.yaml:4:1", "speeed"]);
    Ok(())
}

#[test]
fn the_sidecar_refuses_what_it_cannot_do() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let upstream = understudy_tests::peers::free_address()?;
    let sidecar = |more: &[&str]| {
        finish(
            Command::new(program("understudy-proxy")).args(Sidecar::args(&upstream, dir.path())).args(more),
        )
    };

    let holder = std::net::TcpListener::bind("127.0.0.1:0")?;
    let taken = holder.local_addr()?.to_string();
    let mut args = Sidecar::args(&upstream, dir.path());
    args[1] = taken.clone();
    let refused = finish(Command::new(program("understudy-proxy")).args(&args))?;
    assert_eq!(refused.code, 69, "{refused:?}");
    assert!(refused.stderr.contains(&taken), "{refused:?}");
    drop(holder);

    let policy = dir.path().join("policy.yaml");
    std::fs::write(&policy, "headers:\n  allow: [content-type\n")?;
    let refused = sidecar(&["--policy", policy.to_str().context("utf-8")?])?;
    assert_eq!(refused.code, 64, "{refused:?}");
    assert!(refused.stderr.contains("policy.yaml:"), "names file, line and column: {}", refused.stderr);

    let file = dir.path().join("file");
    std::fs::write(&file, "")?;
    let args = Sidecar::args(&upstream, &file.join("captures"));
    let refused = finish(Command::new(program("understudy-proxy")).args(&args))?;
    assert_eq!(refused.code, 73, "{refused:?}");
    Ok(())
}
