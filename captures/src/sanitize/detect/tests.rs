use proptest::prelude::*;

use super::*;
use crate::samples;

fn found(text: &str) -> Vec<(Class, &str)> {
    let mut findings = Vec::new();
    Detectors::all().scan(text, Scope::Prose, &mut findings);
    findings.iter().map(|f| (f.class, &text[f.start..f.end])).collect()
}

#[track_caller]
fn finds(class: Class, value: &str) {
    for text in
        [value.to_owned(), format!("see {value}, please"), format!("({value})"), format!("«{value}» é")]
    {
        assert_eq!(found(&text), [(class, value)], "in {text:?}");
    }
}

#[track_caller]
fn ignores(text: &str) {
    assert_eq!(found(text), [], "in {text:?}");
}

#[test]
fn cards_are_found_however_they_are_grouped() {
    for card in [
        "4242424242424242",
        "4242 4242 4242 4242",
        "4242-4242-4242-4242",
        "4242.4242.4242.4242",
        "4242\u{a0}4242\u{a0}4242\u{a0}4242",
        "5555 5555 5555 4444",
        "378282246310005",
        "3782 822463 10005",
        "6011111111111117",
        "2223003122003222",
        "4222222222222",
        "3530111333300000",
        "3500000000000009",
    ] {
        finds(Class::Card, card);
    }
    assert_eq!(found("card4242424242424242x"), [(Class::Card, "4242424242424242")]);
}

#[test]
fn numbers_that_fail_the_check_or_have_no_issuer_are_no_cards() {
    for text in ["4242424242424241", "1734596400100123", "9999 9999 9999 9995", "0000000000000000"] {
        assert!(found(text).iter().all(|(class, _)| *class != Class::Card), "{text}");
    }
}

#[test]
fn ibans_are_checked_by_country_length_and_mod_97() {
    for iban in [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "gb82 west 1234 5698 7654 32",
        "FR1420041010050500013M02606",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
    ] {
        finds(Class::Iban, iban);
    }
    assert!(found("DE88370400440532013000").iter().all(|(class, _)| *class != Class::Iban));
}

#[test]
fn emails_are_found_with_any_letters() {
    for email in
        ["jo@example.com", "first.last+tag@mail.example.co.uk", "o'neil@example.org", "jürgen@bücher.example"]
    {
        finds(Class::Email, email);
    }
    assert_eq!(found("mail jo@example.com."), [(Class::Email, "jo@example.com")]);
    ignores("@justinbieber lol @ home, a@b and user@localhost");
}

#[test]
fn telephone_numbers_of_common_forms_are_found() {
    for phone in [
        "+1 212 555 0123",
        "+44 20 7946 0958",
        "+44 (0)20 7946 0958",
        "+49 (30) 901820",
        "+4915112345678",
        "0049 30 901820",
        "212-555-0123",
        "212.555.0123",
        "1-800-555-0199",
        "2125550123",
        "020 7946 0958",
        "07700 900123",
        "01 42 68 53 00",
        "030/901820-15",
        "612 34 56 78",
        "212-555-0123 ext. 45",
        "212-555-0123x4587",
        "22-15-40-99",
        "22 15 40 98",
        "467 3395",
        "416 60 039",
        "9472-7916",
        "0490 75 40 81",
        "345-899-3560x4587",
        "+46 (0)8 928 571 38",
        "98765 43210",
        "+7 (912) 345-67-89",
        "138 1234 5678",
        "011 44 20 7946 0958",
    ] {
        finds(Class::Phone, phone);
    }
    assert_eq!(found("my cell is 467 3395!"), [(Class::Phone, "467 3395")]);
    assert_eq!(found("(212) 555-0123"), [(Class::Phone, "212) 555-0123")]);
    assert_eq!(found("(37) 788-063"), [(Class::Phone, "37) 788-063")]);
    assert_eq!(found("(11) 98765-4321"), [(Class::Phone, "11) 98765-4321")]);
}

#[test]
fn plain_numbers_are_left_alone() {
    for text in [
        "2,000 people in 2014, 1,234,567.89 dollars",
        "from 1999-2004, on 2004-01-13 and 13/01/2004 or 13.01.2004",
        "pi is 3.14159265358979, 100% of 20000000",
        "a 1024x768 screen, 16:9, 10:30:45, iso 9001:2015",
        "created 1734596400 and 1734596400100",
        "rated 10/10 8.5/10 9/10, 5 stars, top 100",
        "the ad-2500 and dvp-642/37, canon sd500, 802.11g, v1.2.3.4",
        "$212 555 0123",
        "in 200 1999 or 1998 2003, 100 2000 times, 10 20 30 40",
        "order 467 3395, isbn 0306406152, 1 000 000 and 3333333333",
        "version 10.2.33.4 at 10:30 12 34 56",
        "127.0.0.1 and 0.0.0.0",
    ] {
        ignores(text);
    }
}

#[test]
fn social_security_numbers_need_a_possible_area() {
    for ssn in ["219-09-9999", "219 09 9998"] {
        finds(Class::Ssn, ssn);
    }
    for text in ["000-12-3456", "666-12-3456", "219-00-1234", "219-09-0000"] {
        assert!(found(text).iter().all(|(class, _)| *class != Class::Ssn), "{text}");
    }
}

#[test]
fn addresses_of_networks_are_found() {
    for ip in
        ["192.168.12.34", "8.8.8.8", "2001:db8::8a2e:370:7334", "fe80::1ff:fe23:4567:890a", "::ffff:10.1.2.3"]
    {
        finds(Class::Ip, ip);
    }
    for mac in ["00:1b:44:11:3a:b7", "00-1B-44-11-3A-B7", "001b.4411.3ab7"] {
        finds(Class::Mac, mac);
    }
    ignores("std::vec::Vec at 12:34:56, ::1, 1.2.3.4.5 and 300.1.2.3");
}

#[test]
fn keys_and_tokens_are_found_whole() {
    // Put together here, so that no scanner of repositories takes them for real ones.
    let join = |parts: &[&str]| parts.concat();
    for key in [
        join(&["AKIA", "IOSFODNN7EXAMPLE"]),
        join(&["ghp_", "16C7e42F292c6912E7710c838347Ae178B4a"]),
        join(&["github_pat_", "11AAAAAAA0abcdefghijkl_mnop"]),
        join(&["xoxb-", "123456789012-abcdefABCDEF"]),
        join(&["sk_live_", "4eC39HqLyjWDarjtT1zdp7dc"]),
        join(&["AIza", "SyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe"]),
        join(&["sk-proj-", "abc123DEF456ghi789JKL"]),
        join(&["glpat-", "abcDEF123ghiJKL456mn"]),
    ] {
        finds(Class::ApiKey, &key);
    }
    finds(
        Class::Jwt,
        &join(&["eyJ", "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlF"]),
    );
    finds(Class::Token, "9f86d081884c7d659a2feaa0c55ad015");
    finds(Class::Token, "123e4567-e89b-42d3-a456-426614174000");
    finds(Class::Token, "wJalrXUtnFEMIK7MDENGbPxRfiCYEXKEY12z");
    ignores("risk-taking-and-other-long-words-in-2004 supercalifragilisticexpialidocious");
    ignores("#WorldCup2014BrazilVsGermany aaaaaaaaaaaaaaaaaaaaaaaaaaaaaah 2013-edition-2-pack-of-3");
    ignores("distilbert-base-uncased-finetuned-sst-2-english");
}

#[test]
fn private_keys_reach_to_their_end_line_or_the_end() {
    let begin = ["-----BEGIN RSA ", "PRIVATE KEY-----"].concat();
    let block = format!("{begin}\nMIIEow\nIBAAKCAQ\n-----END RSA PRIVATE KEY-----");
    assert_eq!(found(&format!("key:\n{block}\nthanks")), [(Class::PrivateKey, &block[..])]);
    let torn = format!("{begin}\nMIIEow");
    assert_eq!(found(&torn), [(Class::PrivateKey, &torn[..])]);
    ignores("-----BEGIN CERTIFICATE----- abc -----END CERTIFICATE-----");
}

#[test]
fn urls_of_prose_go_behind_their_scheme() {
    assert_eq!(found("see https://www.FaceUpdate.com.br/."), [(Class::Url, "www.FaceUpdate.com.br/")]);
    assert_eq!(found("(http://t.co/AbC1)"), [(Class::Url, "t.co/AbC1")]);
    assert_eq!(found("at http://intranet/wiki now"), [(Class::Url, "intranet/wiki")]);
    for domain in [
        "www.nomadness.it",
        "example.com",
        "mail.example.co.uk",
        "example.org:8080/a?b=c",
        "bit.ly/2kX",
        "bücher.example.de",
    ] {
        finds(Class::Url, domain);
    }
    ignores(
        "It works.The end.it was so.me and he said no.so http://url_removed e.g. a.m. U.S.A. 3.5mm main.rs v1.2.beta ...com",
    );
}

#[test]
fn urls_of_values_lose_credentials_and_query_only() {
    let mut findings = Vec::new();
    let text = "at https://jo:pw1@host.example/a/b?token=abc#x now";
    Detectors::all().scan(text, Scope::Value, &mut findings);
    let found: Vec<_> = findings.iter().map(|f| (f.class, &text[f.start..f.end])).collect();
    // The host goes too: with what stands before the at sign it could be an e-mail address.
    assert_eq!(found, [(Class::Url, "jo:pw1"), (Class::Email, "@host.example"), (Class::Url, "token=abc#x")]);
    Detectors::all().scan("http://example.com/path/page.html", Scope::Value, &mut findings);
    assert_eq!(findings, []);
}

#[test]
fn emails_are_found_in_quotes_and_in_words() {
    for (text, email) in [
        ("mail \"jo doe\"@example.com now", "jo doe\"@example.com"),
        ("mail jo@[192.168.2.1] now", "jo@[192.168.2.1"),
        ("jo at example dot com", "jo at example dot com"),
        ("write to jo dot doe at mail dot example dot org today", "jo dot doe at mail dot example dot org"),
        ("it is jo[at]example[dot]com.", "jo[at]example[dot]com"),
        ("it is jo (at) example.com", "jo (at) example.com"),
        ("mailto:jo@example.com", "jo@example.com"),
    ] {
        let found = found(text);
        // A domain is one, whatever stands before it.
        let covered: String = found.iter().map(|(_, t)| *t).collect();
        assert!(covered == email && found[0].0 == Class::Email, "{found:?} in {text:?}");
    }
    ignores("meet me at the dot com bubble, look at that polka dot dress (at) home");
}

#[test]
fn secrets_do_not_hide_in_other_spellings() {
    for (class, value) in [
        (Class::Card, "４２４２４２４２４２４２４２４２"),
        (Class::Card, "4242\u{200b}4242\u{200b}4242\u{200b}4242"),
        (Class::Card, "4242\u{2007}4242\u{2007}4242\u{2007}4242"),
        (Class::Card, "4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2"),
        (Class::Card, "%34%32%34%32%34%32%34%32%34%32%34%32%34%32%34%32"),
        (Class::Card, "4242&nbsp;4242&nbsp;4242&nbsp;4242"),
        (Class::Card, "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢"),
        (Class::Card, "𝟒𝟐𝟒𝟐𝟒𝟐𝟒𝟐𝟒𝟐𝟒𝟐𝟒𝟐𝟒𝟐"),
        (Class::Email, "john%40example.com"),
        (Class::Email, "john&#64;example.com"),
        (Class::Email, "john&commat;example&period;com"),
        (Class::Email, "ｊｏｈｎ＠ｅｘａｍｐｌｅ．ｃｏｍ"),
        (Class::Email, r"john\\u0040example.com"),
        (Class::Phone, "+44%2020%207946%200958"),
        (Class::Ssn, "219\u{2011}09\u{2011}9999"),
        (Class::Iban, "DE89\u{a0}3704\u{a0}0044\u{a0}0532\u{a0}0130\u{a0}00"),
        (Class::Ip, "192&#46;168&#46;12&#46;34"),
    ] {
        let text = format!("my {value} is");
        let found = found(&text);
        let start = text.find(value).unwrap();
        let covered: usize = found.iter().map(|(_, t)| t.len()).sum();
        assert!(
            covered >= value.len() && found.iter().any(|(c, _)| *c == class),
            "{class:?} {value}: {found:?} at {start}"
        );
    }
}

#[test]
fn overlapping_findings_are_cut_not_lost() {
    let text = "https://host.example/?mail=jo@example.com&card=4242424242424242";
    let covered: usize = found(text).iter().map(|(_, t)| t.len()).sum();
    assert_eq!(covered, text.len() - "https://".len());
    // An address whose local part is a card number: one class takes it, nothing stays.
    assert_eq!(found("4242424242424242@example.com"), [(Class::Email, "4242424242424242@example.com")]);
}

#[test]
fn a_class_that_is_off_is_not_found() {
    let mut findings = Vec::new();
    Detectors::without(&[Class::Email]).scan("jo@example.com 8.8.8.8", Scope::Prose, &mut findings);
    assert_eq!(findings.iter().map(|f| f.class).collect::<Vec<_>>(), [Class::Ip]);
}

proptest! {
    #[test]
    fn findings_are_ordered_disjoint_and_on_character_boundaries(
        text in r"([a-zA-Z0-9@:./?#=+() \-é\u{a0}_]|eyJ|sk-|://|4242|-----BEGIN |DE89){0,60}"
    ) {
        let mut findings = Vec::new();
        Detectors::all().scan(&text, Scope::Prose, &mut findings);
        let mut last = 0;
        for f in &findings {
            prop_assert!(last <= f.start && f.start < f.end && f.end <= text.len());
            prop_assert!(text.is_char_boundary(f.start) && text.is_char_boundary(f.end));
            last = f.end;
        }
    }

    #[test]
    fn any_text_can_be_scanned(text in any::<String>()) {
        Detectors::all().scan(&text, Scope::Prose, &mut Vec::new());
    }

    #[test]
    fn every_valid_card_is_found(body in prop::collection::vec(0u8..10, 14)) {
        let mut digits: Vec<u8> = [4].iter().chain(&body).map(|d| b'0' + d).chain([b'0']).collect();
        let check = (10 - checks::luhn_sum(&digits) % 10) % 10;
        digits[15] = b'0' + check as u8;
        let card = String::from_utf8(digits).unwrap();
        prop_assert_eq!(found(&card), [(Class::Card, &card[..])]);
        let spaced = format!("{} {} {} {}", &card[..4], &card[4..8], &card[8..12], &card[12..]);
        prop_assert_eq!(found(&spaced), [(Class::Card, &spaced[..])]);
    }
}

/// What is found with every gate open.
fn found_without_gates(text: &str, scope: Scope) -> Vec<Finding> {
    let mut findings = Vec::new();
    Detectors::all().collect(text, scope, &Signals::everything(), &mut findings);
    resolve_overlaps(&mut findings);
    findings
}

#[track_caller]
fn gates_hold_nothing_back(text: &str) {
    for scope in [Scope::Value, Scope::Prose] {
        let mut gated = Vec::new();
        Detectors::all().scan(text, scope, &mut gated);
        assert_eq!(gated, found_without_gates(text, scope), "in {text:?} as {scope:?}");
    }
}

#[test]
fn gates_hold_nothing_back_of_real_texts() {
    samples::texts().for_each(|text| gates_hold_nothing_back(text.text));
    samples::pii_sentences().for_each(|sentence| gates_hold_nothing_back(&sentence.text));
}

#[test]
fn signals_count_kinds_of_bytes() {
    let text = format!("A1@b:c.d-é%&\\{}", "9".repeat(600));
    let signals = Signals::of(text.as_bytes());
    let expected = Signals {
        digits: 601,
        capitals: 1,
        foreign: 2,
        ats: 1,
        colons: 1,
        dots: 1,
        dashes: 1,
        escapes: 3,
        long_run: true,
    };
    assert_eq!(signals, expected);
}

#[test]
fn a_run_is_seen_wherever_it_stands() {
    for before in 0..20 {
        for len in 10..20 {
            let text = format!("{} {} ab cd", "x ".repeat(before), "t".repeat(len));
            assert_eq!(has_run(text.as_bytes(), 14), len >= 14, "{text}");
        }
    }
}

proptest! {
    #[test]
    fn gates_hold_nothing_back_of_any_text(
        text in r"([A-Za-z]{0,6}[ .:@/%\\-]{0,2}[0-9]{0,5}(é|\u{a0}|５)?){0,12}|[0-9a-f:.@\\-]{0,40}"
    ) {
        gates_hold_nothing_back(&text);
    }
}
