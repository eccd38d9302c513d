use proptest::prelude::*;

use super::*;

fn set(words: &[&str]) -> WordSet {
    let mut set = WordSet::default();
    words.iter().for_each(|word| set.insert(word).unwrap());
    set
}

#[test]
fn ordinary_words_inflections_contractions_and_emoticons_are_english() {
    for word in [
        "a", "I", "the", "word", "Words", "RUNNING", "colour", "color", "organise", "organize", "can't",
        "Don't", "o'clock", "dont", "omg", "lol", "gr8", ":D", "<3", "awesome", "café", "CAFÉ", "will",
        "mark", "young",
    ] {
        assert!(english().contains(word), "{word}");
    }
}

#[test]
fn what_is_only_a_name_a_number_or_nothing_is_not() {
    for word in [
        "", " ", "Ada", "john", "MARIA", "Müller", "Warsaw", "Google", "Lovelace", "xqwv", "143", "7", "b",
        "wor", "wordss", "words ", "the the",
    ] {
        assert!(!english().contains(word), "{word}");
    }
}

#[test]
fn the_list_is_in_order_in_lower_case_and_read_whole() {
    let mut words = Vec::new();
    for_each_front_coded(ENGLISH, |word| words.push(word.to_owned()));
    assert!(words.windows(2).all(|pair| pair[0].as_bytes() < pair[1].as_bytes()));
    assert!(
        words.iter().all(|word| *word == word.to_lowercase() && word.len() <= LONGEST && !word.contains(' '))
    );
    assert!(words.iter().all(|word| english().contains(word)));
    assert_eq!(words.len(), english().len());
    assert_eq!(english().sorted().len(), words.len());
    assert!((60_000..80_000).contains(&words.len()), "{}", words.len());
}

#[test]
fn every_lookup_of_the_english_list_ends_soon() {
    let set = english();
    let mask = set.slots.len() - 1;
    let away = set.slots.iter().enumerate().filter(|(_, slot)| slot.len > 0).map(|(at, slot)| {
        let home = (hash(set.word(slot)) >> 32) as usize & mask;
        at.wrapping_sub(home) & mask
    });
    assert!(away.max().unwrap() < 64);
}

#[test]
fn case_is_folded_beyond_ascii() {
    let set = set(&["Straße", "ΟΔΌΣ", "İz", "Über"]);
    for word in ["straße", "STRAßE", "οδός", "οδόσ", "ÜBER", "über", "İZ"] {
        assert!(set.contains(word), "{word}");
    }
    assert!(!set.contains("uber") && !set.contains("strasse"));
}

#[test]
fn a_word_that_is_too_long_or_empty_is_refused() {
    let mut set = set(&["x"]);
    assert_eq!(set.insert(""), Err(NotAWord));
    assert_eq!(set.insert(&"x".repeat(LONGEST + 1)), Err(NotAWord));
    // Grows by a byte in lower case.
    assert_eq!(set.insert(&"Ⱥ".repeat(LONGEST / 2)), Err(NotAWord));
    assert_eq!(set.insert(&"x".repeat(LONGEST)), Ok(()));
    assert!(set.contains(&"X".repeat(LONGEST)) && !set.contains(&"x".repeat(LONGEST + 1)));
    assert_eq!(set.len(), 2);
}

proptest! {
    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else(
        words in proptest::collection::btree_set("[a-zäöü'0-9]{1,20}", 0..200),
        others in proptest::collection::btree_set("[a-zäöü'0-9]{1,20}", 0..50),
    ) {
        let mut set = WordSet::default();
        for word in &words {
            set.insert(word).unwrap();
            set.insert(&word.to_uppercase()).unwrap();
        }
        let expected: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        prop_assert_eq!(set.sorted(), expected);
        for word in words.union(&others) {
            prop_assert_eq!(set.contains(word), words.contains(word));
        }
    }
}
