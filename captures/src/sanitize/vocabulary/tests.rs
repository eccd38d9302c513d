use std::collections::BTreeMap;

use proptest::prelude::*;
use vader_parity::SentimentIntensityAnalyzer;

use super::*;
use crate::samples;
use crate::sanitize::{Key, Policy, Sanitizer};

mod measured;

fn key(fill: char) -> Key {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, format!("{fill} 0123456789 abcdefghijklmnopqrstuvwxyz")).unwrap();
    Key::from_file(&path).unwrap()
}

fn sanitizer(rules: &str) -> Sanitizer {
    let yaml = format!("version: 1\nfree_text_mode: vocabulary\n{rules}");
    Sanitizer::new(Policy::from_yaml(&yaml, "policy").unwrap(), key('k'))
}

fn strict(text: &str) -> String {
    sanitizer("").free_text(text).0
}

fn vocabulary(list: &str) -> Vocabulary {
    let mut vocabulary = Vocabulary::new(0);
    vocabulary.add_english();
    vocabulary.add_list(format!("the\n{list}").as_bytes()).unwrap();
    vocabulary
}

/// Runs of letters and digits.
fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect()
}

#[test]
fn ordinary_words_and_emoticons_stay_and_all_else_goes() {
    for text in [
        "This is the BEST phone I've ever owned, don't you think? :D <3 :-P",
        "omg it's gr8... lol!!! w00t (r&r) 😀 well-made & easy-to-use",
        "What a day... it doesn\u{2019}t get better.",
        "",
        " \t\n -- '' @ # 😀 ¿?",
    ] {
        let text = text.replace("(r&r)", "r&r");
        assert_eq!(strict(&text), text);
    }
    let gone = [
        "Ada",
        "Lovelace",
        "Übermütig",
        "O'Brien",
        "Jean-Luc",
        "Здравствуй",
        "東京",
        "1984",
        "7",
        "mp3",
        "x",
        "B2B",
        "②",
        "x86",
        "wordyword",
        "Grüße",
        "José",
        "Jose\u{301}",
        "1\u{fe0f}\u{20e3}",
        "Ja\u{ad}ne",
        "١٢٣",
    ];
    for word in gone {
        let text = format!("we saw {word} there");
        let new = strict(&text);
        let (before, after) = (new.strip_prefix("we saw ").unwrap(), " there");
        let new = before.strip_suffix(after).unwrap();
        assert_eq!(new.len(), word.len(), "{word}");
        for (old, new) in words(word).into_iter().zip(words(new)) {
            assert_ne!(old, new, "{word}");
        }
    }
}

#[test]
fn one_word_has_one_replacement_in_any_case_and_ending() {
    let new = strict("Zorblatt's zorblatt ZORBLATT zorblatt’s #zorblatt (zorblatt)");
    let new = words(&new);
    let lower = new[2];
    assert_eq!(new[3], lower.to_uppercase());
    assert_eq!(new[0].to_lowercase(), lower);
    assert_eq!([new[4], new[6], new[7]], [lower; 3]);
    assert_eq!([new[1], new[5]], ["s"; 2]);
    assert_eq!(strict("zorblatt"), lower);
    assert_ne!(strict("zorblats"), lower);
    let policy = Policy::from_yaml("version: 1\nfree_text_mode: vocabulary\n", "policy").unwrap();
    assert_ne!(Sanitizer::new(policy, key('q')).free_text("zorblatt").0, lower);
}

#[test]
fn handles_go_whatever_words_they_are_made_of() {
    let new = strict("thanks @sunny_day_2 and @Happy! #happy");
    assert!(new.starts_with("thanks @") && new.ends_with("! #happy"), "{new}");
    assert!(["sunny", "day", "2", "Happy"].iter().all(|word| !words(&new).contains(word)), "{new}");
}

#[test]
fn a_finding_of_ordinary_words_is_replaced_and_what_a_detector_keeps_goes_too() {
    let new = strict("write to happy.day@sunny.com or call +44 20 7946 0958 today");
    let left = words(&new);
    for word in ["happy", "sunny", "44", "20", "7946", "0958"] {
        assert!(!left.contains(&word), "{word}: {new}");
    }
    assert!(new.starts_with("write to ") && new.ends_with(" today") && new.contains(" or call +"), "{new}");
}

#[test]
fn what_stands_beside_a_finding_in_one_word_goes_too() {
    let findings = [Finding { start: 3, end: 7, class: crate::sanitize::Class::Person }];
    let mut rewriter = Rewriter::default();
    let pseudonyms = Pseudonyms::new(&key('k'));
    let (new, replaced) =
        rewriter.rewrite("theWordthe the", &findings, &vocabulary("the"), &pseudonyms).unwrap();
    assert!(!new.starts_with("the") && !new[7..].starts_with("the") && new.ends_with(" the"), "{new}");
    assert_eq!((new.len(), replaced), (14, 2));
}

#[test]
fn a_name_has_one_replacement_whether_a_detector_sees_it_or_not() {
    let class = crate::sanitize::Class::Person;
    let findings = [Finding { start: 0, end: 8, class }, Finding { start: 20, end: 24, class }];
    let mut rewriter = Rewriter::default();
    let pseudonyms = Pseudonyms::new(&key('k'));
    let text = "Zorblatt's zorblatt Rose rose";
    let (new, _) = rewriter.rewrite(text, &findings, &vocabulary("the"), &pseudonyms).unwrap();
    let new = words(new);
    assert_eq!((new[0].to_lowercase().as_str(), new[1]), (new[2], "s"));
    assert!(new[3] != "Rose" && new[4] == "rose");
}

#[test]
fn short_numbers_stay_when_the_policy_says_so() {
    let new = sanitizer("vocabulary: {digits: 2}").free_text("I am 42, in 3 weeks; pin 1234, 4-5, mp3").0;
    assert!(new.starts_with("I am 42, in 3 weeks; pin ") && new.contains(", 4-5, "), "{new}");
    assert!(!new.contains("1234") && !new.contains("mp3"));
    assert!(!strict("I am 42").contains("42"));
}

#[test]
fn files_add_words_and_languages_may_be_left_out() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("de.txt"),
        "\u{feff}# Deutsch\r\nGrüße\r\n\r\nschöne\nİstanbul\nl\nami\n:o3\n",
    )
    .unwrap();
    let policy = dir.path().join("policy.yaml");
    let yaml = "version: 1\nfree_text_mode: vocabulary\nvocabulary: {files: [de.txt]";
    std::fs::write(&policy, format!("{yaml}}}\n")).unwrap();
    let mut both = Sanitizer::new(Policy::from_file(&policy).unwrap(), key('k'));
    let text = "SCHÖNE grüße, the l'ami :o3";
    assert_eq!(both.free_text(text).0, text);
    std::fs::write(&policy, format!("{yaml}, languages: []}}\n")).unwrap();
    let mut german = Sanitizer::new(Policy::from_file(&policy).unwrap(), key('k'));
    let new = german.free_text("schöne the dog's").0;
    assert!(
        new.starts_with("schöne ") && !new.contains("the") && !new.contains("dog") && !new.ends_with("'s"),
        "{new}"
    );
}

#[test]
fn a_replacement_is_no_word_and_completes_no_emoticon() {
    let english = vocabulary("the");
    let mut sanitizer = sanitizer("");
    for first in 'a'..='z' {
        for second in ["", "b", "q", "x", "bc"] {
            let word = format!("{first}{second}");
            if english.knows(&word, false) {
                continue;
            }
            for text in [word.clone(), format!(":{word}"), format!("<{word}")] {
                let (new, _) = sanitizer.free_text(&text);
                if new != text {
                    assert!(!english.lists(&new) && !english.lists(words(&new)[0]), "{text}: {new}");
                }
            }
        }
    }
}

#[test]
fn where_every_letter_means_something_a_word_is_still_another_one() {
    let mut all = Vocabulary::new(0);
    all.add_list(b"b\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\nn\no\np\nq\nr\ns\nt\nu\nv\nw\nx\ny\nz\n").unwrap();
    let mut rewriter = Rewriter::default();
    let (new, _) = rewriter.rewrite("a", &[], &all, &Pseudonyms::new(&key('k'))).unwrap();
    assert_ne!(new, "a");
}

#[test]
fn the_digest_covers_every_word_and_no_path() {
    let digest = |list: &str, rules: &str| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("words.txt"), list).unwrap();
        let policy = dir.path().join("policy.yaml");
        let yaml =
            format!("version: 1\nfree_text_mode: vocabulary\nvocabulary: {{files: [words.txt]{rules}}}\n");
        std::fs::write(&policy, yaml).unwrap();
        Policy::from_file(&policy).unwrap().digest()
    };
    let one = digest("zorb\nblatt\n", "");
    assert_eq!(one, digest("# the same\nBLATT\nzorb\nzorb\nthe\n", ""));
    let others = [
        digest("zorbblatt\n", ""),
        digest("zorb\nblatts\n", ""),
        digest("zorb\nblatt\n", ", digits: 1"),
        digest("zorb\nblatt\n", ", languages: []"),
        Policy::builtin().digest(),
        Policy::from_yaml("version: 1\nfree_text_mode: vocabulary\n", "p").unwrap().digest(),
    ];
    for (index, other) in others.iter().enumerate() {
        assert_ne!(*other, one);
        assert!(!others[..index].contains(other));
    }
}

#[test]
fn lists_that_cannot_be_read_are_named_with_their_line() {
    let error = |list: &[u8]| Vocabulary::new(0).add_list(list).unwrap_err().to_string();
    assert_eq!(error(b"one\ntwo three\n"), "2: more than one word; write one word a line");
    assert_eq!(error(b"one\n\xff\n"), "2: not UTF-8");
    assert_eq!(error(b"# nothing\n\n"), "1: holds no word");
    assert_eq!(error(&[b"\n\n", &[b'x'; 65][..]].concat()), "3: a word of more than 64 bytes");
}

proptest! {
    #[test]
    fn every_word_of_the_result_is_listed_or_another_one(
        text in r"(\PC|[a-zA-Z0-9 '@#:.\-]|the|happy|Ada|\n|don't|:D| ){0,60}",
    ) {
        let english = vocabulary("the");
        let (new, redactions) = sanitizer("").free_text(&text);
        prop_assert_eq!(new.len(), text.len());
        prop_assert_eq!(new.chars().count(), text.chars().count());
        prop_assert_eq!(redactions.is_empty(), new == text);
        for (old, fresh) in text.char_indices().zip(new.char_indices()) {
            prop_assert_eq!(old.0, fresh.0);
            prop_assert_eq!(old.1.is_alphanumeric(), fresh.1.is_alphanumeric());
        }
        for token in Tokens::of(&text) {
            let (old, fresh) = (&text[token.range.clone()], &new[token.range.clone()]);
            let emoticon = english.lists(&text[tokens::chunk(&text, &token.range)]);
            prop_assert!(old != fresh || emoticon || english.knows(old, token.joined), "{:?} stays in {:?}", old, text);
        }
    }

    #[test]
    fn every_letter_and_digit_is_in_one_token(text in any::<String>()) {
        let mut covered = vec![false; text.len()];
        for token in Tokens::of(&text) {
            covered[token.range].iter_mut().for_each(|byte| { assert!(!*byte); *byte = true });
        }
        for (at, c) in text.char_indices() {
            prop_assert!(covered[at] || !c.is_alphanumeric());
        }
    }
}
