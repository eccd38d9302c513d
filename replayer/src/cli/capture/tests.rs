//! The commands as a user runs them, on captures written by the real writer.

use std::fs;
use std::path::Path;
use std::time::Duration;

use clap::Parser;
use understudy_captures::conservation::Conservation;
use understudy_captures::exchange::{Ending, Exchange, ExchangeId, HttpVersion, Timing, UnixNanos};
use understudy_captures::segment::{Origin, Writer, WriterConfig};
use understudy_captures::{Body, Capture, Headers, Key, Policy, Request, Response, Sanitizer};

use super::*;
use crate::cli::Cli;

const SECOND: u64 = 1_000_000_000;

fn exchange(n: u64) -> Exchange {
    let text = format!("{{\"text\":\"the film was good, number {n}\"}}").into_bytes();
    let body = Body { original_len: text.len() as u64, bytes: text.into(), ..Body::default() };
    let json = ("Content-Type".into(), "application/json".into());
    Exchange {
        id: ExchangeId((7 << 64) + u128::from(n)),
        connection: n / 2,
        index: (n % 2) as u32,
        arrival: UnixNanos(1_700_000_000 * SECOND + n * SECOND),
        request: Request {
            method: "POST".into(),
            target: "/predict".into(),
            version: HttpVersion::Http11,
            headers: vec![json].into(),
            body,
            trailers: Headers::default(),
        },
        response: (n != 3).then(|| Response {
            status: 200,
            version: HttpVersion::Http11,
            headers: Headers::default(),
            body: Body::default(),
            trailers: Headers::default(),
        }),
        ending: if n == 3 { Ending::ClientAbort } else { Ending::Complete },
        timing: Timing { request_end: Some(1), response_start: Some(2_000), end: 2_500_000 },
        chunks: Vec::new(),
        redactions: Default::default(),
        trace_id: None,
        stamp: understudy_captures::exchange::Stamp::default(),
    }
}

/// Four exchanges, a second apart, in blocks of one; a fifth request was dropped.
fn record(dir: &Path) -> Vec<Exchange> {
    let config = WriterConfig {
        dir: dir.to_owned(),
        max_bytes: u64::MAX,
        max_age: Duration::MAX,
        block_bytes: 1,
        origin: Origin { boot: 7, sample: 1.0, ..Origin::default() },
        key: None,
    };
    let mut writer = Writer::create(config).unwrap();
    let mut sanitizer = Sanitizer::new(Policy::builtin(), Key::random());
    let mut recorded = Vec::new();
    for n in 0..4 {
        let sanitized = sanitizer.sanitize(exchange(n)).unwrap();
        writer.append(&sanitized).unwrap();
        recorded.push(sanitized.into_inner());
    }
    let totals = Conservation { seen: 5, recorded: 4, queue_full: 1, ..Conservation::default() };
    writer.finish(&mut |_| totals).unwrap();
    recorded
}

fn only_file(dir: &Path) -> PathBuf {
    fs::read_dir(dir).unwrap().next().unwrap().unwrap().path()
}

/// Runs `understudy capture ARGS... PATH`: its output, and its exit code.
fn capture(args: &[&str], path: &Path) -> (String, u8) {
    let words =
        ["understudy", "capture"].iter().chain(args).map(Into::into).chain([path.as_os_str().to_owned()]);
    let crate::cli::Command::Capture(args) = Cli::try_parse_from(words).unwrap().command else { panic!() };
    let mut out = Vec::new();
    let code = match run(*args, &mut out) {
        Ok(code) if code == ExitCode::SUCCESS => 0,
        Ok(_) => 1,
        Err(failure) => failure.code(),
    };
    (String::from_utf8(out).unwrap(), code)
}

#[test]
fn stats_tell_a_machine_the_counters_the_span_and_the_name_of_the_dataset() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let (out, code) = capture(&["stats", "--json"], dir.path());
    let stats: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    let counts = [("exchanges", 4), ("seen", 5), ("recorded", 4), ("queue_full", 1), ("carried_out", 0)];
    for (name, count) in counts.into_iter().chain([("connections", 2), ("segments", 1), ("peak_per_s", 1)]) {
        assert_eq!(stats[name], json!(count), "{name}");
    }
    for name in
        ["sampled_out", "excluded", "over_limit", "unparseable", "unsanitizable", "io_error", "carried_in"]
    {
        assert_eq!(stats[name], json!(0), "{name}");
    }
    assert_eq!(stats["first"], "2023-11-14T22:13:20.000000000Z");
    assert_eq!(stats["last"], "2023-11-14T22:13:23.000000000Z");
    assert_eq!(stats["statuses"], json!({ "200": 3, "none": 1 }));
    assert_eq!(stats["endings"]["client_abort"], 1);
    assert_eq!(stats["law_holds"], true);
    assert_eq!(stats["dataset_id"].as_str().unwrap().len(), 64);
}

#[test]
fn stats_tell_people_the_same() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let (out, code) = capture(&["stats"], dir.path());
    assert_eq!(code, 0);
    assert!(out.contains("exchanges      4 on 2 connections\n"), "{out}");
    assert!(out.contains("every request has exactly one fate"), "{out}");
    assert!(out.contains("queue_full                 1\n"), "{out}");
}

#[test]
fn verify_exits_with_1_and_names_the_byte_when_one_bit_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let (out, code) = capture(&["verify"], dir.path());
    assert_eq!(code, 0, "{out}");
    assert!(out.starts_with("whole: 1 segments, 4 exchanges read"), "{out}");

    let path = only_file(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&path, &bytes).unwrap();
    let (out, code) = capture(&["verify"], &path);
    assert_eq!(code, 1);
    assert!(out.contains(&format!("{}: byte ", path.display())), "{out}");
    assert!(out.contains("DAMAGED: 2 findings; 3 exchanges of 4 recorded"), "{out}");

    let (out, code) = capture(&["verify", "--json"], &path);
    let verification: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &verification["whole"]), (1, &json!(false)));
    assert_eq!(verification["findings"][0]["lost"], 1);
}

#[test]
fn cat_prints_one_exchange_a_line_with_its_texts() {
    let dir = tempfile::tempdir().unwrap();
    let recorded = record(dir.path());
    let (out, code) = capture(&["cat", "--json"], dir.path());
    assert_eq!(code, 0);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    for (line, exchange) in lines.iter().zip(&recorded) {
        assert_eq!(line["id"], exchange.id.to_string());
        assert_eq!(line["request"]["body"], std::str::from_utf8(&exchange.request.body.bytes).unwrap());
        assert_eq!(line["request"]["headers"][0]["name"], "Content-Type");
    }
    assert_eq!(lines[3]["response"], Value::Null);
    assert_eq!(lines[2]["timing_ns"]["end"], 2_500_000);
    let (out, _) = capture(&["cat", "--json", "--limit", "1"], dir.path());
    assert_eq!(out.lines().count(), 1);
}

#[test]
fn cat_prints_a_conversation_for_people() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let (out, _) = capture(&["cat", "--limit", "1"], dir.path());
    assert!(
        out.starts_with("* 2023-11-14T22:13:20.000000000Z exchange 00000000000000070000000000000000"),
        "{out}"
    );
    assert!(out.contains("(connection 0, request 0): complete after 2.50 ms\n"), "{out}");
    assert!(
        out.contains("> POST /predict HTTP/1.1\n> Content-Type: application/json\n>\n{\"text\":"),
        "{out}"
    );
    assert!(out.contains("< HTTP/1.1 200\n"), "{out}");
}

/// Accepts nothing, like a pipe whose reader left.
struct Closed(io::ErrorKind);

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_leaves_is_no_failure_and_a_full_disk_is() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let paths = vec![dir.path().to_owned()];
    for json in [false, true] {
        let source =
            || Source { reading: Reading { paths: paths.clone(), capture_key_file: Vec::new() }, json };
        for command in [Command::Stats(source()), Command::Verify(source())] {
            let code = run(Args { command }, &mut Closed(io::ErrorKind::BrokenPipe)).unwrap();
            assert_eq!(code, ExitCode::SUCCESS);
        }
        let failure =
            run(Args { command: Command::Stats(source()) }, &mut Closed(io::ErrorKind::StorageFull));
        assert_eq!(failure.unwrap_err().code(), 73);
    }
    let cat = Cli::try_parse_from(["understudy", "capture", "cat", &paths[0].to_string_lossy()]).unwrap();
    assert_eq!(cat.run(&mut Closed(io::ErrorKind::BrokenPipe)), ExitCode::SUCCESS);
}

#[test]
fn what_is_missing_or_no_capture_has_its_own_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = dir.path().join("notes.ucap");
    for command in ["stats", "verify", "cat"] {
        assert_eq!(capture(&[command], &dir.path().join("absent")).1, 66);
    }
    assert_eq!(capture(&["stats"], dir.path()).1, 66);
    fs::write(&foreign, "some notes, long enough to be a header").unwrap();
    for command in ["stats", "verify", "cat"] {
        assert_eq!(capture(&[command], &foreign).1, 65);
    }
}

#[test]
fn bytes_of_traffic_cannot_steer_a_terminal() {
    let shown = text::Shown::line(b"a\x1b[31m\n\xff\xc3\xa9\xe2\x80\xae").to_string();
    assert_eq!(shown, "a\\u{1b}[31m\\n\\xffé\\u{202e}");
    assert_eq!(text::Shown::lines(b"a\n\tb\r").to_string(), "a\n\tb\\r");
}

#[test]
fn spans_and_sizes_have_three_digits_and_a_unit() {
    let spans = [0, 7, 1_500, 2_500_000, 123_456_789, 61 * SECOND].map(text::span);
    assert_eq!(spans, ["0 ns", "7 ns", "1.50 us", "2.50 ms", "123 ms", "61.0 s"]);
    assert_eq!([0, 1023, 1024, 15 << 20].map(text::size), ["0 B", "1023 B", "1.00 KiB", "15.0 MiB"]);
}

#[test]
fn a_capture_goes_out_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let captures = dir.path().join("captures");
    let recorded = record(&captures);
    let (file, back) = (dir.path().join("all.jsonl"), dir.path().join("back"));
    let (told, code) = capture(&["export", "--json", "--out", file.to_str().unwrap()], &captures);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (code, &told["read"], &told["written"], &told["to"]),
        (0, &json!(4), &json!(4), &json!("jsonl"))
    );
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        capture(&["cat", "--json"], &captures).0,
        "cat prints the same"
    );

    let (told, code) = capture(&["import", "--json", "--out", back.to_str().unwrap()], &file);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["conservation"]["seen"], &told["written"]), (0, &json!(4), &json!(4)));
    assert_eq!(told["notes"][0]["note"], "no_response");
    let read = Capture::open(&[&back]).unwrap();
    assert_eq!(told["dataset_id"], read.stats().dataset_id);
    let exchanges: Vec<_> = read.exchanges().collect::<Result<_, _>>().unwrap();
    assert_eq!(exchanges, recorded);

    // Neither is written over.
    assert_eq!(capture(&["export", "--out", file.to_str().unwrap()], &captures).1, 73);
    assert_eq!(capture(&["import", "--out", back.to_str().unwrap()], &file).1, 73);
}

#[test]
fn exports_are_limited_and_say_what_they_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let captures = dir.path().join("captures");
    record(&captures);
    let gor = dir.path().join("some.gor");
    let (told, code) = capture(&["export", "--limit", "2", "--out", gor.to_str().unwrap()], &captures);
    assert_eq!(code, 0);
    assert!(told.starts_with("read 2 exchanges, wrote 2 as gor to "), "{told}");
    assert!(told.contains("left out  connections not representable: 2"), "{told}");
    let targets = dir.path().join("targets");
    let args = |more: &[&'static str]| [&["export", "--to", "vegeta"][..], more].concat();
    let out = ["--out", targets.to_str().unwrap()];
    assert_eq!(capture(&[&args(&[])[..], &out].concat(), &captures).1, 64, "nobody said where to");
    assert_eq!(capture(&[&args(&["--target", "nowhere"])[..], &out].concat(), &captures).1, 64);
    assert!(!targets.exists());
    assert_eq!(capture(&[&args(&["--target", "http://a"])[..], &out].concat(), &captures).1, 0);
}

#[test]
fn what_cannot_be_imported_is_refused_with_a_code_that_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("capture");
    let file = dir.path().join("file");
    let import = |content: &str, more: &[&str]| {
        fs::write(&file, content).unwrap();
        capture(&[&["import", "--out", out.to_str().unwrap()], more].concat(), &file).1
    };
    let trace = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,3,4\n";
    assert_eq!(import("some notes", &[]), 64);
    assert_eq!(import("some notes", &["--from", "gor"]), 65);
    assert_eq!(import(trace, &[]), 64);
    assert_eq!(import(trace, &["--key-file", "missing"]), 66);
    assert!(!out.exists(), "a refusal leaves nothing behind");
    let texts = dir.path().join("texts.txt");
    fs::write(&texts, "a fine film\n").unwrap();
    let texts = texts.to_str().unwrap();
    assert_eq!(import(trace, &["--texts", texts]), 64, "no request around the text");
    assert_eq!(import(trace, &["--texts", texts, "--preset", "tei"]), 0);
    assert_eq!(
        capture(&["import", "--out", dir.path().join("none").to_str().unwrap()], &dir.path().join("no")).1,
        66
    );
}

#[test]
fn the_requests_of_a_preset_are_those_whose_answers_it_knows() {
    use understudy_captures::interchange::arrivals::Template;
    for name in crate::answers::Preset::NAMES {
        assert!(Template::PRESETS.contains(&name), "{name}");
        let dir = tempfile::tempdir().unwrap();
        let (trace, texts, out) = (dir.path().join("t.csv"), dir.path().join("t.txt"), dir.path().join("c"));
        fs::write(&trace, "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,3,4\n").unwrap();
        fs::write(&texts, "a film that was good\n").unwrap();
        let args =
            ["import", "--ignore-lengths", "--texts", texts.to_str().unwrap(), "--preset", name, "--out"];
        assert_eq!(capture(&[&args[..], &[out.to_str().unwrap()]].concat(), &trace).1, 0);
        let exchange = Capture::open(&[&out]).unwrap().exchanges().next().unwrap().unwrap();
        let preset = crate::answers::Preset::named(name).unwrap();
        assert_eq!(
            preset.input(&exchange.request.body.bytes).as_deref(),
            Some("a film that was good"),
            "{name}"
        );
        assert!(preset.is_safe(&exchange.request.method, exchange.path()), "{name}");
    }
}
