//! Recall and false alarms on texts that others labelled (`testdata/README.md`).
//!
//! `cargo test -p understudy-captures corpus -- --nocapture` prints the table of `docs/privacy.md`.

use std::collections::BTreeMap;

use super::*;

const LABELLED: &str = include_str!("../testdata/labelled_sentences.jsonl");
const ORDINARY: &str = include_str!("../testdata/ordinary_texts.txt");

/// Labels of structured classes, and the least recall that a change may leave.
const FLOORS: &[(&str, f64)] = &[
    ("CREDIT_CARD", 0.99),
    ("DOMAIN_NAME", 0.99),
    ("EMAIL_ADDRESS", 0.99),
    ("IBAN_CODE", 0.99),
    ("IP_ADDRESS", 0.99),
    ("PHONE_NUMBER", 0.99),
    ("US_DRIVER_LICENSE", 0.99),
    ("US_SSN", 0.99),
];

#[derive(serde::Deserialize)]
struct Sentence {
    text: String,
    spans: Vec<Span>,
}

/// Character offsets.
#[derive(serde::Deserialize)]
struct Span {
    r#type: String,
    start: usize,
    end: usize,
}

/// How much of a span of text the findings leave readable: letters and digits.
fn left_over(text: &str, start: usize, end: usize, findings: &[Finding]) -> usize {
    let covered = |at| findings.iter().any(|f| f.start <= at && at < f.end);
    text[start..end].char_indices().filter(|(i, c)| c.is_alphanumeric() && !covered(start + i)).count()
}

#[test]
fn recall_on_labelled_sentences_does_not_fall() {
    let detectors = Detectors::all();
    let mut findings = Vec::new();
    let mut table: BTreeMap<String, (usize, usize, usize)> = BTreeMap::new();
    for line in LABELLED.lines() {
        let sentence: Sentence = serde_json::from_str(line).unwrap();
        detectors.scan(&sentence.text, Scope::Prose, &mut findings);
        let byte = |at: usize| sentence.text.char_indices().nth(at).map_or(sentence.text.len(), |(i, _)| i);
        for span in sentence.spans {
            let (start, end) = (byte(span.start), byte(span.end));
            // The scheme of a URL names nobody.
            let start = sentence.text[start..end].find("://").map_or(start, |scheme| start + scheme + 3);
            let left = left_over(&sentence.text, start, end, &findings);
            let name = span.r#type.clone();
            let row = table.entry(span.r#type).or_default();
            row.0 += 1;
            row.1 += usize::from(left == 0);
            row.2 += usize::from(left > 0 && findings.iter().any(|f| f.start < end && start < f.end));
            if left > 0
                && FLOORS.iter().any(|(label, _)| *label == name)
                && std::env::var_os("SHOW_MISSES").is_some()
            {
                println!("{name} missed: {}", &sentence.text[start..end]);
            }
        }
    }
    println!("| label | spans | covered | in part | recall |");
    for (label, floor) in FLOORS {
        let (spans, covered, part) = table[*label];
        let recall = covered as f64 / spans as f64;
        println!("| {label} | {spans} | {covered} | {part} | {:.1} % |", recall * 100.0);
        assert!(recall >= *floor, "{label}: recall {recall:.3} fell below {floor}");
    }
}

#[test]
fn fewer_than_one_word_in_a_thousand_of_ordinary_texts_is_taken() {
    let detectors = Detectors::all();
    let mut findings = Vec::new();
    let (mut words, mut taken) = (0, 0);
    for text in ORDINARY.lines() {
        detectors.scan(text, Scope::Prose, &mut findings);
        words += text.split_whitespace().count();
        taken += findings.iter().map(|f| text[f.start..f.end].split_whitespace().count()).sum::<usize>();
        if std::env::var_os("SHOW_MISSES").is_some() {
            findings.iter().for_each(|f| println!("{:?}: {}", f.class, &text[f.start..f.end]));
        }
    }
    println!("{taken} of {words} words taken ({:.3} %)", taken as f64 / words as f64 * 100.0);
    assert!(words > 20_000);
    assert!(taken * 1000 < words, "{taken} of {words} words");
}
