use understudy_captures::{Key, Policy};

use super::tokens::Tokenizer;
use super::*;

#[test]
fn what_changed_is_counted_and_nothing_changes_length() {
    let mut sanitizer = Sanitizer::new(Policy::builtin().in_vocabulary_mode(), Key::random());
    let texts = vec!["a happy day".to_owned(), "Zorblatt says: a happy day 1984".to_owned()];
    let (change, pairs) = Change::of(texts, &mut sanitizer, &Tokenizer::bert_uncased());
    assert_eq!((change.texts, change.texts_changed, change.length_kept), (2, 1, 2));
    assert_eq!((change.words, change.words_changed), (9, 2));
    assert_eq!(change.classes.values().sum::<u64>(), 2);
    assert_eq!(change.token_shifts.len(), 2);
    let shift: i64 = change.token_shifts.iter().sum();
    assert_eq!(change.tokens_raw as i64 + shift, change.tokens_sanitized as i64);
    assert_eq!(pairs[0].raw, pairs[0].sanitized);
}

#[test]
fn the_built_in_tokenizer_cuts_as_bert_does() {
    let bert = Tokenizer::bert_uncased();
    // Counts as published examples of bert-base-uncased give them, without [CLS] and [SEP].
    for (text, tokens) in [
        ("", 0),
        ("hello world", 2),
        ("unaffable", 3),
        ("embeddings", 4),
        ("tokenization", 2),
        ("Don't stop!", 5),
        ("H\u{e9}llo", 1),
        ("a\u{ad}b", 1),
        ("\u{4f60}\u{597d}", 2),
        ("...", 3),
    ] {
        assert_eq!(bert.count(text), tokens, "{text:?}");
    }
    assert_eq!(bert.count(&"x".repeat(101)), 1);
}

#[test]
fn tokenizer_files_are_read_or_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let read = |name: &str, content: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        Tokenizer::from_file(&path)
    };
    let vocab = read("vocab.txt", "[UNK]\nplay\n##ing\nThe\n").unwrap();
    assert_eq!((vocab.count("playing The the"), vocab.name()), (4, "vocab.txt"));
    let json = r###"{"normalizer":{"type":"BertNormalizer","lowercase":true},"model":{"type":"WordPiece","vocab":{"play":0,"##ing":1}}}"###;
    assert_eq!(read("tokenizer.json", json).unwrap().count("PLAYING"), 2);
    let bpe = read("bpe.json", r#"{"model":{"type":"BPE","vocab":{}}}"#).unwrap_err().to_string();
    assert!(bpe.contains("bpe.json") && bpe.contains("BPE") && bpe.contains("WordPiece"), "{bpe}");
    let none = read("words.txt", "one\ntwo\n").unwrap_err().to_string();
    assert!(none.contains("no vocab.txt"), "{none}");
}
