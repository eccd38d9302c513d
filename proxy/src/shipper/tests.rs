//! Nothing is deleted before it is safe, whatever breaks and whenever the process is killed.

use std::path::Path;

use super::*;

/// A captures directory with closed segments, and a shelf beside it.
struct Scene {
    dir: tempfile::TempDir,
    ledger: Arc<Ledger>,
}

impl Scene {
    fn new(segments: &[&str]) -> Scene {
        let scene = Scene { dir: tempfile::tempdir().unwrap(), ledger: Arc::new(Ledger::new()) };
        fs::create_dir(scene.captures()).unwrap();
        for name in segments {
            fs::write(scene.captures().join(name), format!("bytes of {name}")).unwrap();
        }
        scene
    }

    fn captures(&self) -> PathBuf {
        self.dir.path().join("captures")
    }

    fn shelf(&self) -> PathBuf {
        self.dir.path().join("shelf")
    }

    /// A shipper as a start of the sidecar makes it, with everything offered.
    fn shipper(&self) -> Shipper {
        let shelf = Shelf::new(&self.shelf()).unwrap();
        let dock = Dock::new(shelf.name());
        dock.offer(inventory::segments(&self.captures(), None).unwrap());
        Shipper::new(shelf, self.captures(), false, dock, self.ledger.clone()).unwrap()
    }

    fn names(&self, dir: &Path) -> Vec<String> {
        let kept = inventory::segments(dir, None).unwrap();
        kept.into_iter().map(|kept| kept.name).collect()
    }
}

#[test]
fn what_is_shipped_is_there_noted_and_gone_from_here() {
    let scene = Scene::new(&["1.ucap", "2.ucap"]);
    let mut shipper = scene.shipper();
    shipper.ship_waiting().unwrap();
    assert!(scene.names(&scene.captures()).is_empty());
    assert_eq!(scene.names(&scene.shelf()), ["1.ucap", "2.ucap"]);
    let account = shipper.dock.account();
    assert_eq!((account.shipped, account.waiting), (Totals { segments: 2, bytes: 30 }, 0));
    assert_eq!(scene.ledger.shipped_segments.get(), 2);
    let journal = fs::read_to_string(scene.captures().join("shipped.jsonl")).unwrap();
    let first: Entry = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
    assert_eq!((&*first.segment, first.bytes), ("1.ucap", 15));
    assert_eq!(first.blake3, blake3_of(&scene.shelf().join("1.ucap")));
    assert_eq!(scene.shipper().dock.account().shipped.segments, 2, "the account survives a restart");
}

fn blake3_of(path: &Path) -> String {
    let twin = tempfile::tempdir().unwrap();
    Shelf::new(twin.path()).unwrap().deliver(path, "x").unwrap().digest
}

#[test]
fn a_kill_between_any_two_steps_neither_loses_nor_counts_twice() {
    // Killed after the delivery, before the journal.
    let scene = Scene::new(&["1.ucap"]);
    let shelf = Shelf::new(&scene.shelf()).unwrap();
    shelf.deliver(&scene.captures().join("1.ucap"), "1.ucap").unwrap();
    let mut shipper = scene.shipper();
    shipper.ship_waiting().unwrap();
    assert_eq!(shipper.journal.totals().segments, 1);
    assert!(scene.names(&scene.captures()).is_empty());

    // Killed after the journal, before the deletion.
    fs::copy(scene.shelf().join("1.ucap"), scene.captures().join("1.ucap")).unwrap();
    let mut shipper = scene.shipper();
    shipper.ship_waiting().unwrap();
    assert_eq!(shipper.journal.totals().segments, 1, "once, not twice");
    assert!(scene.names(&scene.captures()).is_empty());

    // Killed in the middle of a line of the journal.
    let journal = scene.captures().join("shipped.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, &text[..text.len() / 2]).unwrap();
    fs::copy(scene.shelf().join("1.ucap"), scene.captures().join("1.ucap")).unwrap();
    let mut shipper = scene.shipper();
    assert_eq!(shipper.journal.totals().segments, 0);
    shipper.ship_waiting().unwrap();
    assert_eq!(scene.shipper().journal.totals().segments, 1, "the line after a torn one counts");
}

#[test]
fn what_a_journal_claims_is_not_believed_when_it_is_not_there() {
    let scene = Scene::new(&["1.ucap"]);
    let mut shipper = scene.shipper();
    shipper.ship_waiting().unwrap();
    fs::rename(scene.shelf().join("1.ucap"), scene.captures().join("1.ucap")).unwrap();
    scene.shipper().ship_waiting().unwrap();
    assert_eq!(scene.names(&scene.shelf()), ["1.ucap"], "delivered again before it was deleted");
}

#[test]
fn a_store_that_fails_keeps_everything_here() {
    let scene = Scene::new(&["1.ucap", "2.ucap"]);
    fs::write(scene.shelf(), "a file where the directory should be").unwrap();
    let mut shipper = scene.shipper();
    let failed = shipper.ship_waiting();
    assert!(failed.is_err());
    shipper.tell(failed);
    assert_eq!(scene.names(&scene.captures()).len(), 2);
    let account = shipper.dock.account();
    assert_eq!((account.waiting, account.failing.is_some()), (2, true));
    fs::remove_file(scene.shelf()).unwrap();
    let shipped = shipper.ship_waiting();
    shipper.tell(shipped);
    assert_eq!(shipper.dock.account().failing, None);
    assert!(scene.names(&scene.captures()).is_empty());
}

#[test]
fn something_else_under_the_same_name_stays_and_so_does_ours() {
    let scene = Scene::new(&["1.ucap", "2.ucap"]);
    fs::create_dir(scene.shelf()).unwrap();
    fs::write(scene.shelf().join("1.ucap"), "somebody else's").unwrap();
    let mut shipper = scene.shipper();
    shipper.ship_waiting().unwrap();
    shipper.ship_waiting().unwrap();
    assert_eq!(scene.names(&scene.captures()), ["1.ucap"]);
    assert_eq!(fs::read(scene.shelf().join("1.ucap")).unwrap(), b"somebody else's");
    assert_eq!(scene.ledger.ship_failures.get(), 1, "told once");
}

#[test]
fn an_account_of_any_length_stays_small_and_its_sums_stay_true() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(dir.path()).unwrap();
    for n in 0..5_000_u32 {
        let entry = Entry {
            at: String::new(),
            segment: format!("{n}.ucap"),
            object: PathBuf::new(),
            bytes: 10,
            blake3: String::new(),
        };
        journal.note(entry).unwrap();
    }
    let wanted = Totals { segments: 5_000, bytes: 50_000 };
    assert_eq!(journal.totals(), wanted);
    assert_eq!(Journal::open(dir.path()).unwrap().totals(), wanted);
    let lines = fs::read_to_string(dir.path().join("shipped.jsonl")).unwrap().lines().count();
    assert!(lines < 4_097, "{lines}");
}

#[test]
fn pauses_double_up_to_a_minute_and_differ_by_chance() {
    assert_eq!(pause_after(1, 0.0), Duration::from_millis(250));
    assert_eq!(pause_after(1, 1.0), Duration::from_millis(500));
    assert_eq!(pause_after(4, 1.0), Duration::from_secs(4));
    for failures in [8, 20, u32::MAX] {
        let pause = pause_after(failures, 0.5);
        assert_eq!(pause, Duration::from_secs(45), "{failures}");
    }
}
