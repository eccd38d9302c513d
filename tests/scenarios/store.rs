//! Captures in an object store, and encrypted ones: read from there as from a directory, refused with the way out.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::Value;
use understudy_tests::bucket::{Fragile, S3};
use understudy_tests::peers::{Nginx, h2load};
use understudy_tests::process::Finished;
use understudy_tests::programs::{Sentiment, Sidecar, understudy};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../captures/samples/demo.ucap");
const KEY: &str = "5f0d1ac2b39e7784c1aa09be6d53f8217e4c9ab0d6e2f31588c7094ba1d6e35f";

/// The command said what is wrong in one line, with its code, these words and no secret.
fn assert_refused(store: &S3, finished: &Finished, code: i32, words: &[&str]) {
    assert_eq!(finished.code, code, "{finished:?}");
    assert_eq!(finished.stderr.trim_end().lines().count(), 1, "one line: {}", finished.stderr);
    for word in words {
        assert!(finished.stderr.contains(word), "{word:?} is not in {}", finished.stderr);
    }
    assert!(!format!("{finished:?}").contains(store.secret()), "a secret shows");
}

fn json(finished: &Finished) -> Result<Value> {
    assert_eq!(finished.code, 0, "{finished:?}");
    serde_json::from_str(&finished.stdout).with_context(|| format!("not JSON: {}", finished.stdout))
}

#[test]
fn a_capture_in_a_bucket_is_read_like_one_in_a_directory() -> Result<()> {
    let store = S3::start()?;
    let url = "s3://captures/monday/";
    let run = |args: &[&str]| store.understudy(args, &[]);
    let copied = run(&["capture", "copy", SAMPLE, url])?;
    assert_eq!((copied.code, copied.stdout.trim()), (0, "s3://captures/monday/demo.ucap"), "{copied:?}");

    let here = json(&understudy(&["capture", "stats", "--json", SAMPLE])?)?;
    let there = json(&run(&["capture", "stats", "--json", url])?)?;
    assert_eq!(here, there, "the same capture, dataset id and all");
    assert_eq!(run(&["capture", "verify", "s3://captures/monday/demo.ucap"])?.code, 0);
    let cat = run(&["capture", "cat", "--json", url])?;
    assert_eq!(cat.stdout, understudy(&["capture", "cat", "--json", SAMPLE])?.stdout);

    let again = run(&["capture", "copy", SAMPLE, url])?;
    assert_refused(&store, &again, 73, &["s3://captures/monday/demo.ucap", "never overwritten"]);
    let back = tempfile::tempdir()?;
    assert_eq!(run(&["capture", "copy", url, back.path().to_str().context("utf-8")?])?.code, 0);
    assert_eq!(std::fs::read(back.path().join("demo.ucap"))?, std::fs::read(SAMPLE)?);

    // A plan file elsewhere: the URL leads to the same place, though its other paths are its own.
    let target = Sentiment::start(&["--profile", "gpu"])?;
    let plan = back.path().join("plan.yaml");
    std::fs::write(
        &plan,
        format!(
            "captures: [{url}]\ncandidates:\n  one: http://{}\nrate: 400\nwindow: 0s..8s\n",
            target.listen
        ),
    )?;
    let runs = back.path().join("runs");
    let paths = [plan.to_str().context("utf-8")?, "--out", runs.to_str().context("utf-8")?];
    let replayed = run(&[&["replay", "--json", "--quiet"], &paths[..]].concat())?;
    assert!(replayed.code <= 3, "{replayed:?}");
    let summary: Value = serde_json::from_str(&replayed.stdout)?;
    assert_eq!(summary["dataset_id"], here["dataset_id"], "{replayed:?}");
    Ok(())
}

#[test]
fn damage_in_a_bucket_is_found_named_and_survived() -> Result<()> {
    let store = S3::start()?;
    let scratch = tempfile::tempdir()?;
    let damaged = scratch.path().join("damaged.ucap");
    let mut bytes = std::fs::read(SAMPLE)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&damaged, &bytes)?;
    let url = "s3://captures/damaged/";
    let copied = store.understudy(&["capture", "copy", damaged.to_str().context("utf-8")?, url], &[])?;
    assert_eq!(copied.code, 0, "{copied:?}");
    let verify = store.understudy(&["capture", "verify", url], &[])?;
    assert_eq!(verify.code, 1, "{verify:?}");
    assert!(verify.stdout.contains("s3://captures/damaged/damaged.ucap: byte "), "{}", verify.stdout);
    let cat = store.understudy(&["capture", "cat", "--json", url], &[])?;
    assert_eq!(cat.code, 0, "{}", cat.stderr);
    assert!(cat.stdout.lines().count() > 200 && cat.stderr.contains("byte "), "{}", cat.stderr);
    Ok(())
}

#[test]
fn what_a_store_refuses_is_told_with_the_way_out() -> Result<()> {
    let store = S3::start()?;
    let stats =
        |store: &S3, url: &str, more: &[(&str, &str)]| store.understudy(&["capture", "stats", url], more);
    let url = "s3://captures/monday/";
    assert_refused(&store, &stats(&store, url, &[])?, 66, &["no *.ucap in s3://captures/monday"]);
    let absent = stats(&store, "s3://absent/x/", &[])?;
    assert_refused(&store, &absent, 66, &["s3://absent/x", "no bucket absent", "AWS_ENDPOINT_URL"]);
    let absent = stats(&store, "s3://captures/x.ucap", &[])?;
    assert_refused(&store, &absent, 66, &["s3://captures/x.ucap", "no such object"]);

    let wrong = stats(&store, url, &[("AWS_SECRET_ACCESS_KEY", "hunter2hunter2")])?;
    assert_refused(&store, &wrong, 66, &[url.trim_end_matches('/'), "credentials", "AWS_SECRET_ACCESS_KEY"]);
    assert!(!wrong.stderr.contains("hunter2"), "{}", wrong.stderr);
    let stranger = stats(&store, url, &[("AWS_ACCESS_KEY_ID", "AKIASTRANGER")])?;
    assert_refused(&store, &stranger, 66, &["credentials", "AWS_ACCESS_KEY_ID"]);
    let signed = stats(&store, "s3://captures/a.ucap?X-Amz-Signature=hunter2", &[])?;
    assert_refused(&store, &signed, 64, &["s3://captures", "refused", "environment"]);
    assert!(!signed.stderr.contains("hunter2"), "{}", signed.stderr);
    let clear = stats(&store, url, &[("AWS_ENDPOINT_URL", "http://store.example")])?;
    assert_refused(&store, &clear, 64, &["not https", "AWS_ALLOW_HTTP"]);

    store.process.signal(Signal::KILL)?;
    let began = Instant::now();
    let gone = stats(&store, url, &[])?;
    assert_refused(&store, &gone, 69, &[url.trim_end_matches('/'), "cannot connect"]);
    assert!(began.elapsed() < Duration::from_secs(40), "took {:?}", began.elapsed());
    Ok(())
}

#[test]
fn a_store_that_dies_in_the_middle_of_an_answer_is_named_and_nothing_hangs() -> Result<()> {
    let store = S3::start()?;
    let url = "s3://captures/monday/";
    assert_eq!(store.understudy(&["capture", "copy", SAMPLE, url], &[])?.code, 0);
    // The listing and part of the first window pass, the rest does not.
    let fragile = Fragile::before(&store.endpoint, 100_000)?;
    let began = Instant::now();
    let cat = store.understudy(&["capture", "cat", url], &[("AWS_ENDPOINT_URL", &fragile.endpoint)])?;
    assert!(fragile.passed() > 100_000, "it died in the middle: {}", fragile.passed());
    assert_refused(&store, &cat, 69, &["s3://captures/monday/demo.ucap"]);
    assert!(began.elapsed() < Duration::from_secs(60), "took {:?}", began.elapsed());
    Ok(())
}

#[test]
fn an_encrypted_recording_needs_its_key_and_shows_only_its_header() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let key = scratch.path().join("key");
    std::fs::write(&key, KEY)?;
    let other = scratch.path().join("other");
    std::fs::write(&other, KEY.chars().rev().collect::<String>())?;
    let (key, other) = (key.to_str().context("utf-8")?, other.to_str().context("utf-8")?);
    let captures = scratch.path().join("captures");
    let dir = captures.to_str().context("utf-8")?;

    let nginx = Nginx::answering()?;
    let sidecar = Sidecar::start(&nginx.listen, &captures, &["--capture-key-file", key])?;
    h2load(&format!("http://{}/predict/of/a/path", sidecar.listen), 300, 4, None)?;
    sidecar.process.signal(Signal::TERM)?;
    sidecar.process.wait()?;
    assert!(!holds(&captures, b"/predict/of/a/path")?, "the path is in the clear");

    let verify = understudy(&["capture", "verify", "--capture-key-file", key, dir])?;
    assert_eq!(verify.code, 0, "{verify:?}");
    let cat = understudy(&["capture", "cat", "--json", "--capture-key-file", key, dir])?;
    assert_eq!(cat.stdout.lines().count(), 300, "{}", cat.stderr);
    for command in ["stats", "verify"] {
        let locked = understudy(&["capture", command, dir])?;
        assert_eq!(locked.code, 65, "{locked:?}");
        assert!(
            locked.stderr.contains("--capture-key-file FILE or set UNDERSTUDY_CAPTURE_KEY"),
            "{locked:?}"
        );
        assert!(
            locked.stdout.contains("encrypted under key") && locked.stdout.contains("boot"),
            "{locked:?}"
        );
    }
    let wrong = understudy(&["capture", "cat", "--capture-key-file", other, dir])?;
    assert_eq!((wrong.code, wrong.stdout.len()), (65, 0), "{wrong:?}");
    assert!(wrong.stderr.contains("give the right one") && !wrong.stderr.contains(&KEY[..8]), "{wrong:?}");
    let replay = understudy(&["replay", dir, "--candidate", "a=http://127.0.0.1:1"])?;
    assert_eq!(replay.code, 65, "{replay:?}");
    Ok(())
}

fn holds(dir: &Path, what: &[u8]) -> Result<bool> {
    for entry in std::fs::read_dir(dir)? {
        let bytes = std::fs::read(entry?.path())?;
        if bytes.windows(what.len()).any(|window| window == what) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[test]
fn an_encrypted_capture_goes_into_a_bucket_and_out_of_it_in_other_formats() -> Result<()> {
    let (store, scratch) = (S3::start()?, tempfile::tempdir()?);
    let at = |name: &str| scratch.path().join(name).to_string_lossy().into_owned();
    std::fs::write(at("key"), KEY)?;
    let run = |args: &[&str]| store.understudy(&[&["capture"], args].concat(), &[]);
    assert_eq!(run(&["export", SAMPLE, "--out", &at("sample.jsonl"), "--limit", "300"])?.code, 0);

    let (imported, merged) = ("s3://captures/imported/", "s3://captures/merged/");
    let under_key = ["--capture-key-file", &at("key")];
    let told =
        run(&[&["import", &at("sample.jsonl"), "--out", imported, "--json"], &under_key[..]].concat())?;
    assert_eq!(json(&told)?["written"], 300);
    let locked = run(&["export", imported, "--out", &at("locked.gor")])?;
    assert_refused(&store, &locked, 65, &[imported.trim_end_matches('/'), "--capture-key-file"]);
    assert!(!scratch.path().join("locked.gor").exists(), "a refusal leaves nothing behind");

    let told = run(&[&["merge", imported, "--out", merged, "--json"], &under_key[..]].concat())?;
    assert_eq!(json(&told)?["written"], 300);
    assert_refused(&store, &run(&["stats", merged])?, 65, &["encrypted under key"]);
    for (format, capture) in [("jsonl", imported), ("gor.gz", merged), ("har", merged)] {
        let file = at(&format!("back.{format}"));
        let told = run(&[&["export", capture, "--out", &file, "--json"], &under_key[..]].concat())?;
        assert_eq!(json(&told)?["written"], 300, "{format}");
    }
    Ok(())
}
