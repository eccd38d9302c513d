//! `capture neutrality` against a live server: flips are counted right, and no raw text leaves but to that server.

use anyhow::Result;
use understudy_tests::programs::{Sentiment, understudy, understudy_json};

const CANARY: &str = "Quorvax";

/// A policy under which no word stays.
const NOTHING: &str = "version: 1\nfree_text_mode: vocabulary\nvocabulary: {languages: []}\n";

#[test]
fn flips_are_counted_and_raw_texts_are_nowhere() -> Result<()> {
    let server = Sentiment::start(&["--profile", "gpu", "--call-us", "100"])?;
    let against = format!("http://{}", server.listen);
    let dir = tempfile::tempdir()?;
    let (good, bad, blank) = (37, 23, 5);
    let mut texts = String::from("id\tbody\n");
    for (count, text) in [(good, "is a wonderful friend"), (bad, "is a horrible mistake")] {
        (0..count).for_each(|id| texts.push_str(&format!("{id}\t{CANARY} {text}\n")));
    }
    // Nothing in it can change.
    (0..blank).for_each(|id| texts.push_str(&format!("{id}\t:-) !!!\n")));
    let file = dir.path().join("texts.tsv");
    std::fs::write(&file, &texts)?;
    let policy = dir.path().join("policy.yaml");
    std::fs::write(&policy, NOTHING)?;
    let (file, policy) = (file.to_string_lossy(), policy.to_string_lossy());
    let base =
        ["capture", "neutrality", &file, "--column", "body", "--against", &against, "--concurrency", "4"];

    // Letters without meaning are POSITIVE at 0.5 to the server, so every bad text flips and no other.
    let report = understudy_json(&[&base[..], &["--policy", &policy, "--json"]].concat())?;
    let changed = &report["against"]["changed"];
    assert_eq!(changed["compared"], good + bad, "{report}");
    assert_eq!(changed["flipped"], bad, "{report}");
    assert_eq!(report["against"]["unchanged"]["compared"], blank);
    assert_eq!(report["against"]["unchanged"]["flipped"], 0);
    assert_eq!(report["against"]["score_shift"]["count"], good);
    assert_eq!((&report["texts"], &report["length_kept"]), (&65.into(), &65.into()));
    let low = changed["interval"][0].as_f64().unwrap_or_default();
    assert!(low > 0.2 && low < 23.0 / 60.0, "{report}");
    assert!(!report.to_string().contains(CANARY));

    // The words of sentiment stay, so nothing flips; and less is asked when less is wanted.
    let printed = understudy(&[&base[..], &["--mode", "vocabulary", "--count", "20"]].concat())?;
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(printed.stdout.contains("labels flipped   0 of "), "{}", printed.stdout);
    assert!(!printed.stdout.contains(CANARY) && !printed.stderr.contains(CANARY), "{printed:?}");
    let names: Vec<_> = std::fs::read_dir(dir.path())?.flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names.len(), 2, "nothing was written: {names:?}");
    Ok(())
}

#[test]
fn failures_of_the_server_are_counted_and_a_dead_one_is_named() -> Result<()> {
    let server = Sentiment::start(&["--profile", "gpu", "--fault", "status=0.2:503"])?;
    let against = format!("http://{}", server.listen);
    let ask =
        |url: &str| understudy(&["capture", "neutrality", "--against", url, "--count", "200", "--json"]);
    let finished = ask(&against)?;
    assert_eq!(finished.code, 0, "{finished:?}");
    let report: serde_json::Value = serde_json::from_str(&finished.stdout)?;
    let failed: u64 =
        report["against"]["errors"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
    let compared = |which: &str| report["against"][which]["compared"].as_u64().unwrap_or_default();
    let answered = compared("changed") + compared("unchanged");
    assert_eq!(report["against"]["asked"], 200);
    assert!((20..200).contains(&failed) && answered + failed >= 200 && answered < 200, "{report}");

    let dead = understudy_tests::peers::free_address()?;
    let refused = ask(&format!("http://{dead}"))?;
    assert_eq!(refused.code, 69, "{refused:?}");
    assert!(refused.stderr.contains(&dead) && refused.stderr.trim_end().lines().count() == 1, "{refused:?}");
    Ok(())
}
