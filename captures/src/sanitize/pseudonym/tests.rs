use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::detect::{Detectors, Scope, accounts, checks};
use super::*;

fn key(fill: &str) -> Key {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, format!("{fill} 0123456789 abcdefghijklmnopqrstuvwxyz")).unwrap();
    Key::from_file(&path).unwrap()
}

fn pseudonyms() -> Pseudonyms {
    Pseudonyms::new(&key("one"))
}

/// Digit, lower, upper, other ASCII, or the length of a character beyond ASCII.
fn shape(text: &str) -> Vec<char> {
    text.chars()
        .map(|c| match c {
            '0'..='9' => '9',
            'a'..='z' => 'a',
            'A'..='Z' => 'A',
            _ if c.is_ascii() => c,
            _ => char::from(c.len_utf8() as u8),
        })
        .collect()
}

const VALUES: &[(Class, &str)] = &[
    (Class::Card, "4242 4242 4242 4242"),
    (Class::Card, "378282246310005"),
    (Class::Iban, "DE89 3704 0044 0532 0130 00"),
    (Class::Iban, "gb82west12345698765432"),
    (Class::Email, "Jürgen.Example@mail.example.com"),
    (Class::Phone, "+44 20 7946 0958"),
    (Class::Phone, "212-555-0123 ext. 45"),
    (Class::Ssn, "219-09-9999"),
    (Class::Ip, "192.168.12.34"),
    (Class::Ip, "2001:db8::8a2e:370:7334"),
    (Class::Mac, "00:1B:44:11:3A:B7"),
    (Class::Token, "123e4567-e89b-42d3-a456-426614174000"),
    (Class::Url, "user:secret"),
    (Class::NationalId, "AB 12 34 56 C"),
    (Class::NationalId, "111.444.777-35"),
    (Class::NationalId, "2341 2341 2346"),
    (Class::NationalId, "RSSMRA85T10A562S"),
    (Class::NationalId, "11010519491231002X"),
    (Class::Email, "john%40example.com"),
    (Class::Email, "john&#64;example.com"),
    (Class::Card, "４２４２ ４２４２ ４２４２ ４２４２"),
    (Class::Card, "4242\u{200b}4242&nbsp;4242%204242"),
];

#[test]
fn replacements_keep_shape_differ_and_are_still_of_their_class() {
    let pseudonyms = pseudonyms();
    for (class, value) in VALUES {
        let new = pseudonyms.finding(*class, value);
        assert_eq!(shape(&new), shape(value), "{class:?}");
        assert_ne!(new, *value);
        if *class != Class::Url {
            let mut findings = Vec::new();
            Detectors::all().scan(&new, Scope::Prose, &mut findings);
            let classes: Vec<_> = findings.iter().map(|f| (f.class, f.start, f.end)).collect();
            assert_eq!(classes, [(*class, 0, new.len())], "{class:?}: replaced by {new}");
        }
    }
}

#[test]
fn one_key_gives_one_replacement_and_another_key_another() {
    let (one, same, other) = (pseudonyms(), pseudonyms(), Pseudonyms::new(&key("two")));
    for (class, value) in VALUES {
        assert_eq!(one.finding(*class, value), same.finding(*class, value));
        assert_ne!(one.finding(*class, value), other.finding(*class, value));
    }
    assert_eq!(one.leaf("Ada Lovelace"), same.leaf("Ada Lovelace"));
    assert_ne!(one.leaf("Ada Lovelace"), other.leaf("Ada Lovelace"));
    assert_ne!(one.token(b"abc"), other.token(b"abc"));
}

#[test]
fn spellings_of_one_value_get_the_same_digits() {
    let p = pseudonyms();
    let plain = |class, text: &str| -> String {
        p.finding(class, text)
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect()
    };
    let card = plain(Class::Card, "4242424242424242");
    assert_eq!(card, plain(Class::Card, "4242 4242 4242 4242"));
    assert_eq!(card, plain(Class::Card, "4242-4242-4242-4242"));
    assert_eq!(
        plain(Class::Iban, "DE89370400440532013000"),
        plain(Class::Iban, "de89 3704 0044 0532 0130 00")
    );
    assert_eq!(plain(Class::Email, "Ada@Example.com"), plain(Class::Email, "ada@example.COM"));
    let national = plain(Class::Phone, "(212) 555-0123");
    assert_eq!(format!("1{national}"), plain(Class::Phone, "+1 212.555.0123"));
    assert_eq!(format!("1{national}"), plain(Class::Phone, "1-212-555-0123"));
}

#[test]
fn a_country_code_stays_and_the_number_does_not() {
    let new = pseudonyms().finding(Class::Phone, "+44 20 7946 0958");
    assert!(new.starts_with("+44 ") && !new.contains("7946"), "{new}");
}

#[test]
fn keys_keep_the_prefix_of_their_issuer_only() {
    let key = ["ghp_", "16C7e42F292c6912E7710c838347Ae178B4a"].concat();
    let new = pseudonyms().finding(Class::ApiKey, &key);
    assert!(new.starts_with("ghp_"));
    assert_eq!(shape(&new), shape(&key));
    assert!(!new.contains(&key[4..10]));
}

#[test]
fn a_private_key_keeps_its_frame_only() {
    let block = ["-----BEGIN ", "PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END PRIVATE KEY-----"].concat();
    let new = pseudonyms().finding(Class::PrivateKey, &block);
    assert!(new.starts_with(&block[..27]) && new.ends_with("\n-----END PRIVATE KEY-----"), "{new}");
    assert!(!new.contains("MIIEowIB"));
    // What only looks like the last line is no frame.
    let false_end = [&block[..35], "\n-----END PRIVATE KEY by Ada"].concat();
    assert!(!pseudonyms().finding(Class::PrivateKey, &false_end).contains("Ada"));
    let false_begin = ["-----BEGIN Ada ", "PRIVATE KEY-----\nMII"].concat();
    assert!(!pseudonyms().finding(Class::PrivateKey, &false_begin).contains("Ada"));
    let torn = &block[..35];
    assert!(!pseudonyms().finding(Class::PrivateKey, torn).contains(&torn[28..]));
}

#[test]
fn tokens_for_fields_have_the_shape_of_a_uuid() {
    let token = pseudonyms().token(b"session-1");
    assert_eq!(token.len(), 36);
    assert!(super::super::detect::secrets::is_uuid(&token));
    assert_eq!(&token[14..15], "8");
}

#[test]
fn replacements_spread_over_the_alphabet() {
    let p = pseudonyms();
    let letters: BTreeSet<char> =
        (0..60).flat_map(|i| p.leaf(&format!("name{i:02}")).chars().take(1).collect::<Vec<_>>()).collect();
    assert!(letters.len() > 15, "{letters:?}");
}

proptest! {
    #[test]
    fn any_leaf_keeps_bytes_and_shape_and_changes_when_it_can(text in any::<String>()) {
        let new = pseudonyms().leaf(&text);
        prop_assert_eq!(new.len(), text.len());
        prop_assert_eq!(shape(&new), shape(&text));
        prop_assert_eq!(new == text, !text.chars().any(char::is_alphanumeric));
    }

    #[test]
    fn any_finding_of_any_class_keeps_bytes_and_changes(text in r"[A-Za-z0-9+.: ä\-]{0,40}[0-9]{2}", class in 0usize..12) {
        // A finding that another one cut need not be valid for its class.
        let class = Class::ALL[class];
        let new = pseudonyms().finding(class, &text);
        prop_assert_eq!(shape(&new), shape(&text));
        prop_assert!(new != text || matches!(class, Class::Phone | Class::Ip | Class::PrivateKey), "{:?} {}", class, new);
    }

    #[test]
    fn check_digits_are_right(body in "[0-9]{14}", bban in "[0-9]{18}") {
        let p = pseudonyms();
        let mut card: Vec<u8> = format!("4{body}0").into_bytes();
        let check = (10 - checks::luhn_sum(&card) % 10) % 10;
        card[15] = b'0' + check as u8;
        let new = p.finding(Class::Card, std::str::from_utf8(&card).unwrap());
        prop_assert!(accounts::is_card(new.as_bytes()) && new.starts_with('4'));
        let zero = format!("DE00{bban}");
        let check = 98 - accounts::mod_97(zero.as_bytes());
        let new = p.finding(Class::Iban, &format!("DE{check:02}{bban}"));
        prop_assert_eq!(accounts::mod_97(new.as_bytes()), 1);
        prop_assert!(new.starts_with("DE"));
    }
}
