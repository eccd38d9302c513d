use proptest::prelude::*;

use super::*;

fn folded(text: &str) -> String {
    Folded::of(text).map_or_else(|| text.to_owned(), |folded| folded.text)
}

#[test]
fn spellings_are_read() {
    for (source, seen) in [
        ("john%40example.com", "john@example.com"),
        ("%34%31%31%31", "4111"),
        ("caf%C3%A9 %E2%82%AC", "café €"),
        ("jo%2540example", "jo@example"),
        ("a&#64;b&#x40;c&commat;d&#X40;e", "a@b@c@d@e"),
        ("1&nbsp;2&amp;#64;x", "1 2@x"),
        ("４２４２－４２", "4242-42"),
        ("𝟒𝟐 𝓐𝓫 ①② ³", "42 Ab 12 3"),
        ("٠١٢٣ ०१२", "0123 012"),
        ("42\u{200b}42\u{ad}", "4242"),
        (r"jo\u0040x \\u0040 \x41 \n.", "jo@x @ A \n."),
        ("1\u{a0}2\u{2009}3\u{2007}4", "1 2 3 4"),
    ] {
        assert_eq!(folded(source), seen);
    }
}

#[test]
fn ordinary_texts_are_not_folded() {
    for text in [
        "100% sure & 5%off \\o/",
        "Ça va ? “oui” – « non »",
        "русский текст",
        "你好，世界！",
        "日本語",
        "🙂 fun",
        "AT&T; R&D",
        "%zz &nope; &;",
    ] {
        assert!(Folded::of(text).is_none(), "{text}");
    }
}

#[test]
fn ranges_map_back_to_whole_escapes() {
    let source = "see &#52;2\u{200b}%34２ ok";
    let folded = Folded::of(source).unwrap();
    assert_eq!(folded.text, "see 4242 ok");
    let (start, end) = folded.source_range(4, 8);
    assert_eq!(&source[start..end], "&#52;2\u{200b}%34２");
    let (start, end) = folded.widened(6, 16);
    assert_eq!(&source[start..end], "&#52;2\u{200b}%34");
}

#[test]
fn replacements_keep_the_spelling() {
    for (source, new, out) in [
        ("%34%31", "97", "%39%37"),
        ("j%6fhn%C3%a9", "kurtü", "k%75rt%C3%bc"),
        ("jo%2540", "ab@", "ab%2540"),
        ("&#99;&#100;&#0099;", "xyz", "&#88;&#121;&#0122;"),
        ("&#x6A;&commat;", "q@", "&#x71;&commat;"),
        ("４２a", "97b", "９７b"),
        ("①²³", "050", "②³²"),
        ("𝓐𝓫𝟒", "Zy9", "𝓩𝔂𝟗"),
        ("4\u{200b}2", "97", "9\u{200b}7"),
        (r"\u0041\n\\x42", "Z\nY", r"\u005A\n\\x59"),
    ] {
        let folded = Folded::of(source).unwrap();
        assert_eq!(folded.respell(source, new).as_deref(), Some(out), "{source}");
    }
}

#[test]
fn every_styled_character_is_respelled_in_its_length() {
    for c in (0x80..=0x10ffff).filter_map(char::from_u32) {
        let Some(Some(seen)) = plain(c) else { continue };
        let new = match seen {
            '0'..='9' => '7',
            'a'..='z' => 'q',
            'A'..='Z' => 'Q',
            _ => continue,
        };
        let mut out = String::new();
        Spelling::Styled.write(&c.to_string(), seen, new, &mut out);
        assert_eq!(out.len(), c.len_utf8(), "{c:?}");
        // Some blocks have a digit of this length only once.
        assert!(out != c.to_string() || seen == new || c == '¹' || c == '⁰' || c == '⓪', "{c:?}");
    }
}

proptest! {
    #[test]
    fn the_same_text_respells_to_the_source(source in r"(%|&|#|;|\\|u|x|4|0|amp|nbsp|%C3%A9|é|４|𝟒|\u{200b}| |[a-z]){0,40}") {
        if let Some(folded) = Folded::of(&source) {
            let again = folded.respell(&source, &folded.text);
            prop_assert_eq!(again.as_deref(), Some(&source[..]));
            let chars: Vec<usize> = folded.text.char_indices().map(|(i, _)| i).chain([folded.text.len()]).collect();
            for pair in chars.windows(2) {
                let (start, end) = folded.source_range(pair[0], pair[1]);
                prop_assert!(start < end && source.get(start..end).is_some());
            }
        }
    }
}
