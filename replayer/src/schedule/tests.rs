use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use understudy_captures::exchange::HttpVersion;
use understudy_captures::{Capture, Exchange};

use super::fixture::{exchange, predict, write};
use super::*;
use crate::outcome::Labels;
use crate::plan::fixture::{nowhere, plan};

fn plan_at(pace: Pace) -> Plan {
    Plan { pace, ..plan(&[nowhere()]) }
}

fn select(exchanges: Vec<Exchange>, plan: &Plan) -> Selection {
    Selection::over(Box::new(exchanges.into_iter().map(Ok)), plan)
}

fn blocks(exchanges: Vec<Exchange>, plan: &Plan) -> Vec<Block> {
    Blocks::over(select(exchanges, plan), plan).map(|block| block.unwrap()).collect()
}

fn offsets(exchanges: Vec<Exchange>, plan: &Plan) -> Vec<u64> {
    blocks(exchanges, plan).iter().flat_map(|block| block.requests.iter().map(|r| r.offset)).collect()
}

/// Exchanges whose arrivals are the running sum of these gaps, microseconds.
fn with_gaps(gaps: &[u32]) -> Vec<Exchange> {
    let mut at = Duration::ZERO;
    let mut exchanges = vec![predict(at, "good")];
    for gap in gaps {
        at += Duration::from_micros(u64::from(*gap));
        exchanges.push(predict(at, "good"));
    }
    exchanges
}

fn gaps() -> impl Strategy<Value = Vec<u32>> {
    // Bursts, ordinary gaps and long silences.
    prop::collection::vec(prop_oneof![Just(0u32), 1..1_000u32, 1_000..50_000_000u32], 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn speed_divides_every_offset_exactly(gaps in gaps(), speed in 0.1f64..100.0) {
        let plan = plan_at(Pace::Speed(speed));
        let mut recorded = 0u64;
        let mut expected = vec![0u64];
        for gap in &gaps {
            recorded += u64::from(*gap) * 1_000;
            expected.push((recorded as f64 / speed).round() as u64);
        }
        prop_assert_eq!(offsets(with_gaps(&gaps), &plan), expected);
    }

    #[test]
    fn a_rate_spaces_requests_evenly_whatever_the_recording(gaps in gaps(), rate in 0.5f64..100_000.0) {
        let offsets = offsets(with_gaps(&gaps), &plan_at(Pace::Rate(rate)));
        prop_assert_eq!(offsets.len(), gaps.len() + 1);
        for (i, offset) in offsets.iter().enumerate() {
            prop_assert!((*offset as f64 - i as f64 * 1e9 / rate).abs() <= 1.0);
        }
    }

    #[test]
    fn blocks_hold_every_request_once_in_order_and_keep_their_length(
        gaps in gaps(),
        speed in 0.5f64..20.0,
        millis in 1u64..20_000,
    ) {
        let plan = Plan { block: Duration::from_millis(millis), ..plan_at(Pace::Speed(speed)) };
        let blocks = blocks(with_gaps(&gaps), &plan);
        let numbers: Vec<u32> = blocks.iter().flat_map(|b| b.requests.iter().map(|r| r.exchange)).collect();
        prop_assert_eq!(numbers, (0..=gaps.len() as u32).collect::<Vec<_>>());
        for (index, block) in blocks.iter().enumerate() {
            prop_assert_eq!(block.index as usize, index);
            prop_assert!(!block.requests.is_empty());
            prop_assert!(block.requests.is_sorted_by_key(|request| request.offset));
            let cell = block.start() / (millis * 1_000_000);
            prop_assert!(block.requests.iter().all(|request| request.offset / (millis * 1_000_000) == cell));
        }
    }

    #[test]
    fn a_window_selects_by_offset_and_numbers_from_zero(gaps in gaps(), start in 0u64..100, length in 1u64..100) {
        let (start, end) = (Duration::from_secs(start), Duration::from_secs(start + length));
        let plan = Plan { window: Some((start, end)), ..plan_at(Pace::Speed(1.0)) };
        let mut at = Duration::ZERO;
        let mut expected = Vec::new();
        for gap in std::iter::once(&0).chain(&gaps) {
            at += Duration::from_micros(u64::from(*gap));
            if at >= start && at < end {
                expected.push(at);
            }
        }
        let selected: Vec<Selected> = select(with_gaps(&gaps), &plan).map(|s| s.unwrap()).collect();
        let instants: Vec<Duration> = selected.iter().map(|s| Duration::from_nanos(s.recorded)).collect();
        prop_assert_eq!(instants, expected);
        prop_assert!(selected.iter().zip(0u32..).all(|(s, number)| s.index == number));
    }
}

#[test]
fn the_shape_tells_a_metronome_from_a_burst() {
    let mut steady = ShapeCounter::default();
    let mut bursty = ShapeCounter::default();
    for i in 0..100u64 {
        steady.arrive(7 + i * 100_000_000);
        bursty.arrive(7 + i / 50 * 5_000_000_000);
    }
    let (steady, bursty) = (steady.shape(), bursty.shape());
    assert_eq!((steady.count, steady.peak, steady.dispersion), (100, 10, Some(0.0)));
    assert!((steady.rate - 10.0).abs() < 1e-9 && (steady.duration_s - 9.9).abs() < 1e-9);
    // Full seconds hold 50, 0, 0, 0, 0: mean 10, variance 400.
    assert_eq!((bursty.peak, bursty.dispersion), (50, Some(40.0)));
    assert_eq!(ShapeCounter::default().shape(), Shape::default());
}

#[test]
fn a_request_is_prepared_without_what_belongs_to_its_connection() {
    let mut recorded = predict(Duration::ZERO, "good").request;
    for (name, value) in [
        ("Host", "production"),
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Authorization", "Bearer something"),
        ("traceparent", "00-1-2-01"),
        ("X-Kept", "one"),
        ("x-kept", "two"),
        ("X-Tenant", "recorded"),
    ] {
        recorded.headers.push(name, value);
    }
    let mut plan = plan_at(Pace::Speed(1.0));
    plan.headers = vec![("x-tenant".parse().unwrap(), "injected".parse().unwrap())];
    let prepared = Preparation::of(&plan).prepare(&recorded).unwrap();
    let fields = String::from_utf8(prepared.fields.to_vec()).unwrap();
    assert_eq!(
        fields, "content-type: application/json\r\nX-Kept: one\r\nx-kept: two\r\nx-tenant: injected\r\n",
        "as spelled, in their order"
    );
    assert_eq!((prepared.body, prepared.has_length), (recorded.body.bytes, true));
}

#[test]
fn a_decoded_body_is_not_announced_as_coded() {
    let mut recorded = predict(Duration::ZERO, "good").request;
    recorded.headers.push("Content-Encoding", "gzip");
    let mut preparation = Preparation::of(&plan_at(Pace::Speed(1.0)));
    let announced = |fields: &[u8]| fields.windows(17).any(|window| window == b"Content-Encoding:");
    assert!(announced(&preparation.prepare(&recorded).unwrap().fields));
    recorded.body.decoded_from = Some("gzip".into());
    assert!(!announced(&preparation.prepare(&recorded).unwrap().fields));
}

#[test]
fn what_cannot_be_repeated_exactly_is_left_out_and_counted() {
    let at = Duration::ZERO;
    let mut truncated = predict(at, "good");
    truncated.request.body.truncated = true;
    let mut http2 = predict(at, "good");
    http2.request.version = HttpVersion::Http2;
    let mut upgrade = exchange(at, "GET", "/ws", b"");
    upgrade.request.headers.push("Upgrade", "websocket");
    let fragment = exchange(at, "GET", "/path#fragment", b"");
    let space = exchange(at, "GET", "/a b", b"");
    let star = exchange(at, "OPTIONS", "*", b"");
    let absolute = exchange(at, "GET", "http://production/path?q=1", b"");
    let exchanges = vec![truncated, http2, upgrade, fragment, space, star, absolute, predict(at, "good")];
    let mut selection = select(exchanges, &plan_at(Pace::Speed(1.0)));
    let targets: Vec<_> = selection.by_ref().map(|s| s.unwrap().prepared.target).collect();
    assert_eq!(targets, [&b"/path?q=1"[..], b"/predict"]);
    let left_out: Vec<(Unrepeatable, u64)> = selection.left_out().collect();
    assert_eq!(
        left_out,
        [
            (Unrepeatable::BodyIncomplete, 1),
            (Unrepeatable::Http2, 1),
            (Unrepeatable::Upgrade, 1),
            (Unrepeatable::Unsendable, 3)
        ]
    );
    assert_eq!(selection.read(), 8);
}

#[test]
fn every_target_is_kept_to_the_byte_or_left_out() {
    proptest!(|(target in prop::collection::vec(any::<u8>(), 0..40))| {
        let mut exchange = exchange(Duration::ZERO, "GET", "/", b"");
        exchange.request.target = Bytes::from([b"/", &target[..]].concat());
        let recorded = exchange.request.target.clone();
        if let Some(selected) = select(vec![exchange], &plan_at(Pace::Speed(1.0))).next() {
            let selected = selected.unwrap();
            prop_assert_eq!(selected.prepared.target, recorded);
        }
    });
}

fn survey(exchanges: Vec<Exchange>, plan: &mut Plan) -> Result<Survey, SurveyError> {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), exchanges);
    plan.captures = vec![dir.path().to_owned()];
    Survey::of(&Capture::open(&plan.captures).unwrap(), plan, &mut Labels::default())
}

#[test]
fn unsafe_requests_are_refused_by_name_until_they_are_allowed() {
    let exchanges = || {
        vec![
            predict(Duration::ZERO, "good"),
            exchange(Duration::from_secs(1), "POST", "/feedback?x=1", b"{}"),
            exchange(Duration::from_secs(2), "POST", "/feedback", b"{}"),
            exchange(Duration::from_secs(3), "DELETE", "/batch/jobs", b""),
            exchange(Duration::from_secs(4), "GET", "/health", b""),
        ]
    };
    let mut plan = plan_at(Pace::Speed(1.0));
    let refusal = survey(exchanges(), &mut plan).unwrap_err();
    assert!(matches!(refusal, SurveyError::Unsafe(_)));
    let refusal = refusal.to_string();
    for part in ["3 requests", "POST /feedback (2)", "DELETE /batch/jobs (1)", "--allow", "--allow-unsafe"] {
        assert!(refusal.contains(part), "{refusal}");
    }
    plan.safety.allowed = vec![("POST".into(), "/feedback".into())];
    assert!(survey(exchanges(), &mut plan).unwrap_err().to_string().contains("DELETE /batch/jobs (1)"));
    plan.safety.allowed.push(("DELETE".into(), "/batch/*".into()));
    assert_eq!(survey(exchanges(), &mut plan).unwrap().dataset.scheduled, 5);
    plan.safety.allowed.clear();
    plan.safety.allow_unsafe = true;
    assert_eq!(survey(exchanges(), &mut plan).unwrap().dataset.scheduled, 5);
}

#[test]
fn a_survey_numbers_what_was_recorded_and_says_how_it_arrived() {
    let exchanges = (0..30).map(|i| predict(Duration::from_millis(i * 100), "good")).collect();
    let mut plan = plan_at(Pace::Speed(3.0));
    let survey = survey(exchanges, &mut plan).unwrap();
    assert_eq!((survey.dataset.exchanges, survey.dataset.scheduled, survey.recorded.len()), (30, 30, 30));
    let answer = survey.recorded[7].answer.unwrap();
    assert_eq!((answer.label, answer.score), (0, Some(0.75)));
    assert!((survey.arrivals.recorded.rate - 10.0).abs() < 1e-6);
    assert!((survey.arrivals.scheduled.rate - 30.0).abs() < 1e-6);
    assert!(survey.dataset.damage.is_empty() && survey.dataset.left_out.is_empty());
}

#[test]
fn a_plan_that_would_judge_nothing_is_refused() {
    let exchanges = || (0..30).map(|i| predict(Duration::from_millis(i * 100), "good")).collect::<Vec<_>>();
    let mut plan = plan_at(Pace::Speed(3.0));
    plan.warmup = Duration::from_secs(1);
    assert!(survey(exchanges(), &mut plan).unwrap_err().to_string().contains("--warmup"));
    plan.warmup = Duration::ZERO;
    plan.window = Some((Duration::from_secs(60), Duration::from_secs(61)));
    assert!(survey(exchanges(), &mut plan).unwrap_err().to_string().contains("inside the window"));
    plan.window = None;
    assert!(survey(Vec::new(), &mut plan).unwrap_err().to_string().contains("no exchange"));
}
