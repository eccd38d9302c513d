//! What the promise is worth on texts that others labelled and rated (`samples/README.md`).
//!
//! `cargo test -p understudy-captures vocabulary::tests::measured -- --nocapture` prints the tables of
//! `docs/privacy.md`. `LABELLED=FILE.jsonl` and `RATED=FILE.tsv` measure on other texts of the same form.

use super::*;
use crate::samples::PiiSentence;

/// Compound scores beyond this are positive or negative.
const NEUTRAL: f64 = 0.05;

/// What may stand behind an apostrophe.
const ENDINGS: &[&str] = &["s", "d", "m", "t", "ll", "re", "ve"];

fn labelled() -> Vec<PiiSentence> {
    match std::env::var_os("LABELLED") {
        None => samples::pii_sentences().collect(),
        Some(path) => {
            let file = std::fs::read_to_string(path).unwrap();
            file.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }
}

fn rated() -> Vec<String> {
    match std::env::var_os("RATED") {
        None => samples::texts().map(|text| text.text.to_owned()).collect(),
        Some(path) => {
            let file = std::fs::read_to_string(path).unwrap();
            file.lines().skip(1).filter_map(|row| row.splitn(3, '\t').nth(2)).map(str::to_owned).collect()
        }
    }
}

#[test]
fn of_labelled_personal_data_every_word_outside_the_vocabulary_is_gone() {
    let mut sanitizer = sanitizer("");
    let english = vocabulary("the");
    let mut table: BTreeMap<String, [usize; 5]> = BTreeMap::new();
    for sentence in labelled() {
        let (new, _) = sanitizer.free_text(&sentence.text);
        for span in &sentence.spans {
            let old = sentence.slice(span).unwrap();
            let start = old.as_ptr().addr() - sentence.text.as_ptr().addr();
            let row = table.entry(span.kind.clone()).or_default();
            let (mut listed, mut kept) = (0, 0);
            for word in words(old) {
                let at = start + word.as_ptr().addr() - old.as_ptr().addr();
                let same = new[at..at + word.len()] == *word;
                let apostrophe = old[..word.as_ptr().addr() - old.as_ptr().addr()].ends_with('\'');
                let outside =
                    !(english.lists(word) || apostrophe && ENDINGS.contains(&&*word.to_lowercase()));
                row[1] += usize::from(outside);
                row[2] += usize::from(outside && !same);
                assert!(!outside || !same, "{word:?} of a {} stays", span.kind);
                listed += usize::from(!outside);
                kept += usize::from(same);
            }
            row[0] += 1;
            row[3] += listed;
            row[4] += kept;
        }
    }
    println!(
        "| label | spans | words outside the vocabulary | of these gone | words of the vocabulary | of these left |"
    );
    for (label, row) in &table {
        println!("| {label} | {} | {} | {} | {} | {} |", row[0], row[1], row[2], row[3], row[4]);
        assert_eq!(row[1], row[2]);
    }
    assert!(table.len() > 10);
}

#[test]
fn of_a_sentiment_model_by_words_hardly_an_answer_changes() {
    let mut sanitizer = sanitizer("");
    let analyzer = SentimentIntensityAnalyzer::new();
    let label = |text: &str| {
        let compound = analyzer.polarity_scores(text).compound;
        (compound >= NEUTRAL, compound <= -NEUTRAL)
    };
    let (mut texts, mut same, mut changed, mut all_words, mut changed_words) = (0, 0, 0, 0, 0);
    for text in rated() {
        let (new, _) = sanitizer.free_text(&text);
        texts += 1;
        same += usize::from(label(&text) == label(&new));
        changed += usize::from(text != new);
        if label(&text) != label(&new) && std::env::var_os("SHOW_FLIPS").is_some() {
            println!("{text}\n{new}\n");
        }
        for (old, new) in text.split_whitespace().zip(new.split_whitespace()) {
            all_words += 1;
            changed_words += usize::from(old != new);
        }
    }
    let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole as f64;
    println!(
        "{texts} texts, {changed} changed ({:.1} %), {changed_words} of {all_words} words changed ({:.1} %); \
         {same} labels unchanged ({:.2} %)",
        percent(changed, texts),
        percent(changed_words, all_words),
        percent(same, texts),
    );
    assert!(percent(same, texts) >= 97.0);
}
