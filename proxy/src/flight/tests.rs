//! What the ring keeps and gives up, what a freeze holds, what freezes by itself.

use std::fs;
use std::time::{Instant, UNIX_EPOCH};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn plan() -> FlightPlan {
    FlightPlan { span: 10 * SECOND, bytes: 1000, frozen: 3, triggers: Vec::new(), window: 60 * SECOND }
}

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000 + second)
}

/// A captures directory whose segments are only names, lengths and times.
struct Ring {
    dir: tempfile::TempDir,
    ledger: Arc<Ledger>,
}

impl Ring {
    fn new() -> Ring {
        Ring { dir: tempfile::tempdir().unwrap(), ledger: Arc::new(Ledger::new()) }
    }

    fn flight(&self, plan: FlightPlan) -> Flight {
        Flight::resume(plan, self.dir.path().to_owned(), self.ledger.clone())
    }

    /// A segment from one second to another.
    fn segment(&self, began: u64, ended: u64, bytes: usize) -> PathBuf {
        let nanos = at(began).duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let path = self.dir.path().join(format!("{nanos:020}-00-{began:06}.ucap"));
        fs::write(&path, vec![b'x'; bytes]).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(at(ended)).unwrap();
        path
    }

    /// Seconds at which the segments of a folder began.
    fn began(&self, folder: &str) -> Vec<u64> {
        let kept = inventory::segments(&self.dir.path().join(folder), None).unwrap();
        kept.iter().map(|kept| kept.began.duration_since(at(0)).unwrap().as_secs()).collect()
    }
}

#[test]
fn the_ring_gives_up_what_is_too_old_and_then_what_is_too_much() {
    let ring = Ring::new();
    for second in 0..10 {
        ring.segment(second * 2, second * 2 + 2, 100);
    }
    let open = ring.segment(20, 21, 50);
    let mut flight = ring.flight(plan());
    flight.tend(Some(&open), at(21));
    assert_eq!(ring.began(""), [10, 12, 14, 16, 18, 20], "those that ended more than 10 s ago are gone");
    let mut flight = ring.flight(FlightPlan { bytes: 350, ..plan() });
    flight.tend(Some(&open), at(21));
    assert_eq!(ring.began(""), [14, 16, 18, 20], "3 * 100 and 50 are at most 350");
    assert_eq!(ring.ledger.ring_bytes.get(), 350);
    assert_eq!(ring.ledger.ring_deleted.get(), 7);
}

#[test]
fn a_freeze_holds_what_reaches_into_its_span_before_and_after() {
    let ring = Ring::new();
    for second in [80, 85, 90, 95] {
        ring.segment(second, second + 5, 10);
    }
    let mut flight = ring.flight(plan());
    let note = flight.freeze("outage-1", "a test", at(100)).unwrap();
    assert!(!note.done);
    assert_eq!(ring.began("frozen/outage-1"), [85, 90, 95], "80 to 85 ended before the span");
    ring.segment(100, 104, 10);
    flight.tend(None, at(104));
    // The ring gives up what the freeze has.
    ring.segment(104, 109, 10);
    flight.tend(None, at(109));
    assert!(!flight.wants_segment_closed(at(109)) && flight.wants_segment_closed(at(110)));
    ring.segment(109, 110, 10);
    ring.segment(111, 112, 10);
    flight.tend(None, at(112));
    assert_eq!(ring.began("frozen/outage-1"), [85, 90, 95, 100, 104, 109]);
    assert!(notes(ring.dir.path()).unwrap()[0].done);
    flight.tend(None, at(1000));
    assert!(ring.began("").is_empty(), "the ring is empty, the capture stays");
    assert_eq!(ring.began("frozen/outage-1").len(), 6);
}

#[test]
fn a_restart_goes_on_with_a_freeze_and_a_half_made_folder_is_no_capture() {
    let ring = Ring::new();
    ring.segment(95, 99, 10);
    ring.flight(plan()).freeze("one", "a test", at(100)).unwrap();
    // A kill between the folder and its name.
    fs::create_dir_all(ring.dir.path().join("frozen/two.unfinished")).unwrap();
    fs::write(ring.dir.path().join("frozen/two.unfinished/freeze.json"), "{\"na").unwrap();

    ring.segment(99, 105, 10);
    let mut flight = ring.flight(plan());
    flight.tend(None, at(105));
    assert_eq!(ring.began("frozen/one"), [95, 99]);
    let names: Vec<String> = notes(ring.dir.path()).unwrap().into_iter().map(|note| note.name).collect();
    assert_eq!(names, ["one"]);
    flight.freeze("two", "a test", at(106)).unwrap();
    assert_eq!(ring.began("frozen/two"), [95, 99]);
}

#[test]
fn what_a_freeze_could_not_link_yet_is_not_deleted() {
    let ring = Ring::new();
    let mut flight = ring.flight(FlightPlan { bytes: 1, ..plan() });
    flight.freeze("one", "a test", at(100)).unwrap();
    ring.segment(100, 101, 100);
    // A file stands where the folder should be.
    let folder = ring.dir.path().join("frozen/one");
    let aside = ring.dir.path().join("aside");
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "").unwrap();
    flight.tend(None, at(101));
    assert_eq!(ring.began(""), [100], "over every limit, and kept");
    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    flight.tend(None, at(101));
    assert_eq!((ring.began(""), ring.began("frozen/one")), (Vec::new(), vec![100]));
}

#[test]
fn names_are_plain_and_taken_once_and_their_number_is_bounded() {
    let ring = Ring::new();
    let mut flight = ring.flight(plan());
    for wrong in ["", "a/b", "..", "-a", "a b", "a.unfinished", "%2e", &"a".repeat(65)] {
        assert!(matches!(flight.freeze(wrong, "", at(0)), Err(Failure::Usage(_))), "{wrong}");
    }
    for name in ["a", "B_2", "c-3"] {
        flight.freeze(name, "", at(0)).unwrap();
    }
    assert!(matches!(flight.freeze("a", "", at(0)), Err(Failure::Data(says)) if says.contains("exists")));
    assert!(
        matches!(flight.freeze("d", "", at(0)), Err(Failure::Data(says)) if says.contains("--frozen-limit"))
    );
}

// === triggers ===

fn window(trigger: &str) -> Window {
    Window::new(vec![Trigger::parse(trigger).unwrap()], 12 * SECOND)
}

fn seen(status: u16, milliseconds: u64) -> Seen {
    Seen { status, failed: false, latency: Duration::from_millis(milliseconds) }
}

/// Whether the trigger fires after these.
fn fires(trigger: &str, all: impl IntoIterator<Item = Seen>) -> bool {
    let mut window = window(trigger);
    for seen in all {
        window.note(seen, Instant::now());
    }
    window.fires().is_some()
}

#[test]
fn each_trigger_fires_beyond_its_limit_and_not_at_it() {
    let answers = |bad: usize| (0..100).map(move |n| seen(if n < bad { 503 } else { 200 }, 10));
    assert!(fires("errors>5%", answers(6)) && !fires("errors>5%", answers(5)));
    assert!(fires("503>5", answers(6)) && !fires("503>5", answers(5)));
    assert!(fires("5xx>5", answers(6)) && !fires("500>5", answers(60)));
    let slow = |slow: usize| (0..100).map(move |n| seen(200, if n < slow { 700 } else { 20 }));
    assert!(fires("p99>500ms", slow(3)) && !fires("p99>500ms", slow(0)));
    assert!(!fires("p50>500ms", slow(40)) && fires("p50>500ms", slow(60)));
    let broken = (0..100).map(|n| Seen { failed: n < 10, ..seen(0, 1) });
    assert!(fires("errors>5%", broken));
    let few = (0..19).map(|_| seen(500, 1));
    assert!(!fires("errors>5%", few), "nineteen requests say nothing of a share");
}

#[test]
fn what_is_older_than_the_window_is_forgotten() {
    let mut window = window("503>10");
    let now = Instant::now();
    for n in 0..20 {
        // Twenty answers over a minute: three or four of them in the last 12 s.
        window.note(seen(503, 1), now - Duration::from_secs(60 - 3 * n));
    }
    assert_eq!(window.fires(), None);
    for _ in 0..8 {
        window.note(seen(503, 1), now);
    }
    assert_eq!(window.fires().as_deref(), Some("503>10"));
}

#[test]
fn what_is_no_trigger_is_refused_with_the_forms() {
    for wrong in
        ["errors", "errors>5", "errors>100%", "p99>fast", "p0>1s", "p100>1s", "42>1", "9xx>x", "x>1", ""]
    {
        assert!(Trigger::parse(wrong).is_err(), "{wrong}");
    }
}
