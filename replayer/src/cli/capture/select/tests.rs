//! What is written on the command line, and what it selects.

use clap::Parser;
use understudy_captures::exchange::{Ending, HttpVersion, Stamp, Timing};
use understudy_captures::{Body, Headers, Request, Response};

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    filters: Filters,
}

fn parsed(words: &[&str]) -> Result<Filters, String> {
    let line = Line::try_parse_from([&["slice"], words].concat());
    line.map(|line| line.filters).map_err(|error| error.to_string())
}

/// What is said to a value that cannot be read.
fn refusal(flag: &str, value: &str) -> String {
    match parsed(&[&format!("{flag}={value}")]) {
        Ok(filters) => panic!("{flag} {value} is taken as {filters}"),
        Err(said) => said,
    }
}

/// A prediction that took 30 ms.
fn exchange() -> Exchange {
    let body = |text: &'static str| Body { bytes: text.into(), ..Body::default() };
    Exchange {
        id: ExchangeId(7 << 64 | 0xab),
        connection: 3,
        index: 0,
        arrival: UnixNanos(1_000),
        request: Request {
            method: "POST".into(),
            target: "/v1/predict?explain=1".into(),
            version: HttpVersion::Http11,
            headers: Headers::default(),
            body: body(r#"{"text":"fine","explain":true,"a/b":[1,2.50]}"#),
            trailers: Headers::default(),
        },
        response: Some(Response {
            status: 200,
            version: HttpVersion::Http11,
            headers: Headers::default(),
            body: body(r#"{"label":"POSITIVE","score":0.93,"model":null}"#),
            trailers: Headers::default(),
        }),
        ending: Ending::Complete,
        timing: Timing { request_end: Some(0), response_start: Some(1), end: 30_000_000 },
        chunks: Vec::new(),
        redactions: Default::default(),
        trace_id: Some(0x4bf9_2f35),
        stamp: Stamp::default(),
    }
}

fn keeps(words: &[&str], exchange: &Exchange) -> bool {
    parsed(words).unwrap().choose(exchange, 0) == Choice::Keep
}

#[test]
fn windows_are_instants_or_spans_and_open_where_nothing_is_said() {
    let first = UnixNanos(1_700_000_000_000_000_000);
    let window = |text: &str| {
        let (from, to) = parsed(&["--window", text]).unwrap().window(first);
        (from.0, to.0)
    };
    let minute = 60_000_000_000;
    assert_eq!(window(".."), (0, u64::MAX));
    assert_eq!(window("+1m..+2m"), (first.0 + minute, first.0 + 2 * minute));
    assert_eq!(window("1m..90s"), (first.0 + minute, first.0 + 90 * (minute / 60)));
    assert_eq!(window("+500us.."), (first.0 + 500_000, u64::MAX));
    assert_eq!(window("..2023-11-14T22:13:20Z"), (0, first.0));
    assert_eq!(window("2023-11-14T23:13:20+01:00..+1m"), (first.0, first.0 + minute));
    for wrong in ["", "+1m", "+1m...+2m", "yesterday..", "..-5m", "2023-11-14..", "+1..+2"] {
        assert!(refusal("--window", wrong).contains("write +5m..+10m"), "{wrong}");
    }
    for reversed in ["+2m..+1m", "2023-11-14T22:13:21Z..2023-11-14T22:13:20Z"] {
        assert!(refusal("--window", reversed).contains("it ends before it begins"), "{reversed}");
    }
}

#[test]
fn statuses_are_codes_classes_ranges_or_none() {
    let mut exchange = exchange();
    for (text, kept) in [
        ("200", true),
        ("2xx", true),
        ("200-299", true),
        ("100-200", true),
        ("201", false),
        ("5xx", false),
        ("none", false),
    ] {
        assert_eq!(keeps(&["--status", text], &exchange), kept, "{text}");
    }
    assert!(keeps(&["--status", "404", "--status", "200"], &exchange), "any of them will do");
    exchange.response = None;
    assert!(keeps(&["--status", "none"], &exchange) && !keeps(&["--status", "100-999"], &exchange));
    for wrong in ["", "99", "1000", "0xx", "10xx", "xx", "4xxx", "299-200", "200-", "-1", "ok", "2XX"] {
        assert!(refusal("--status", wrong).contains("write 404, 5xx, 200-299 or none"), "{wrong}");
    }
}

#[test]
fn latencies_are_bounds_that_all_hold() {
    let exchange = exchange();
    for (words, kept) in [
        (&[">29ms"][..], true),
        (&[">30ms"], false),
        (&["<30ms"], false),
        (&["<0.031s"], true),
        (&[">10ms", "<1s"], true),
        (&[">10ms", "<20ms"], false),
    ] {
        let words: Vec<&str> = words.iter().flat_map(|bound| ["--latency", bound]).collect();
        assert_eq!(keeps(&words, &exchange), kept, "{words:?}");
    }
    for wrong in ["30ms", ">", ">=30ms", ">-1ms", "<30", ">fast"] {
        assert!(refusal("--latency", wrong).contains("in quotes for the shell"), "{wrong}");
    }
}

#[test]
fn ids_are_hexadecimal_and_shares_are_parts_of_one() {
    let exchange = exchange();
    assert!(keeps(&["--trace-id", "0000000000000000000000004bf92f35"], &exchange));
    assert!(!keeps(&["--trace-id", "4bf92f36"], &exchange));
    assert!(keeps(&["--id", &exchange.id.to_string()], &exchange) && !keeps(&["--id", "ab"], &exchange));
    for wrong in ["", "xyz", "4bf92f35-", &"f".repeat(33)] {
        assert!(refusal("--trace-id", wrong).contains("write 32 hex digits"), "{wrong}");
    }
    let share = |text| parsed(&["--sample", text]).unwrap().sample.unwrap();
    assert_eq!((share("0.25"), share("25%"), share("100%"), share("1")), (0.25, 0.25, 1.0, 1.0));
    for wrong in ["0", "1.01", "101%", "-1", "nan", "half", ""] {
        assert!(refusal("--sample", wrong).contains("write 0.01 or 1%"), "{wrong}");
    }
}

#[test]
fn a_share_keeps_whole_connections_and_always_the_same() {
    let of = |connection| Exchange { connection, ..exchange() };
    let kept: Vec<u64> = (0..1_000).filter(|n| keeps(&["--sample", "20%"], &of(*n))).collect();
    assert!((150..250).contains(&kept.len()), "{}", kept.len());
    let more: Vec<u64> = (0..1_000).filter(|n| keeps(&["--sample", "40%"], &of(*n))).collect();
    assert!(kept.iter().all(|n| more.contains(n)), "a larger share holds the smaller one");
}

#[test]
fn paths_are_patterns_without_the_query() {
    for (glob, kept) in [
        ("/v1/predict", true),
        ("/v1/*", true),
        ("/*", false),
        ("/**", true),
        ("/v?/{predict,rank}", true),
        ("/v1", false),
        ("*explain*", false),
    ] {
        assert_eq!(keeps(&["--path", glob], &exchange()), kept, "{glob}");
    }
    assert!(refusal("--path", "/v1/[a").contains("unclosed character class"));
}

#[test]
fn values_in_bodies_are_named_by_pointers() {
    for (place, kept) in [
        ("/label=POSITIVE", true),
        ("response:/label=POSITIVE", true),
        ("request:/label=POSITIVE", false),
        ("request:/explain=true", true),
        ("response:/explain=true", false),
        ("/a~1b/1=2.5", true),
        ("/score=0.93", true),
        ("/model=null", true),
        ("/label=positive", false),
        ("/absent=null", false),
        ("/text=", false),
    ] {
        assert_eq!(keeps(&["--where", place], &exchange()), kept, "{place}");
    }
    assert!(!keeps(&["--where", "/label=POSITIVE", "--where", "/score=1"], &exchange()), "all must hold");
    for wrong in ["label=POSITIVE", "/label", "", "body:/label=x"] {
        assert!(refusal("--where", wrong).contains("write a JSON pointer and a value"), "{wrong}");
    }
}

#[test]
fn labels_are_what_the_model_answered_by_the_preset_or_pointer_given() {
    assert!(keeps(&["--label", "positive"], &exchange()));
    assert!(keeps(&["--label", "NEGATIVE", "--label", "POSITIVE"], &exchange()));
    assert!(!keeps(&["--label", "NEGATIVE"], &exchange()));
    assert!(!keeps(&["--label", "POSITIVE", "--answers", "/verdict"], &exchange()));
    assert!(refusal("--answers", "nobody").contains("kubesentiment"));
    let silent = Exchange { response: None, ..exchange() };
    assert!(!keeps(&["--label", "POSITIVE"], &silent));
}

#[test]
fn different_kinds_all_hold_and_a_limit_stops() {
    let words = ["--method", "post", "--status", "2xx", "--latency", ">1ms", "--label", "POSITIVE"];
    assert!(keeps(&words, &exchange()));
    assert!(!keeps(&[&words[..], &["--method", "GET", "--path", "/other"]].concat(), &exchange()));
    let filters = parsed(&["--limit", "2"]).unwrap();
    assert_eq!(
        [0, 1, 2].map(|kept| filters.choose(&exchange(), kept)),
        [Choice::Keep, Choice::Keep, Choice::Stop]
    );
    let asked = parsed(&["--status", "5xx", "--latency", ">250ms", "--window", "..+5m"]).unwrap();
    assert_eq!(asked.to_string(), "window ..+300 s, status 500-599, latency >250 ms");
}
