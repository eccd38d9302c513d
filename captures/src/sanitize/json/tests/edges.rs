//! What JSON allows, or almost allows, and readers disagree about: it is rewritten safely or refused.

use super::*;

/// What is refused, with what would have leaked.
fn refused(source: &str) {
    assert!(rewrite(source).is_err(), "{source:?}");
}

/// Rewritten with the same length, and without any of the secrets.
fn safely(source: &str, secrets: &[&str]) -> String {
    let new = rewrite(source).unwrap_or_else(|e| panic!("{source:?}: {e:?}"));
    assert_eq!(new.len(), source.len(), "{source} became {new}");
    for secret in secrets {
        assert!(source.contains(secret), "the test says what is not there: {secret}");
        assert!(!new.contains(secret), "{secret} survives in {new}");
    }
    new
}

#[test]
fn each_of_two_equal_keys_is_treated() {
    let new = safely(
        r#"{"user":"Ada Lovelace","user":"Grace Hopper","text":"fine","text":"ada@example.com","label":"GOOD","label":"BAD"}"#,
        &["Ada", "Lovelace", "Grace", "Hopper", "ada@", "example"],
    );
    assert!(new.contains(r#""text":"fine""#) && new.contains(r#""label":"GOOD","label":"BAD""#), "{new}");
    // Readers that keep the last take another container than those that keep the first.
    safely(r#"{"text":{"a":"Ada Lovelace"},"text":["Grace Hopper"],"text":"x"}"#, &["Lovelace", "Hopper"]);
}

#[test]
fn numbers_beyond_every_type_stay_numbers() {
    for source in ["1e400", "-1E+999999", "0.0e-0", "123456789e-5", "1e", "1e+", "0x10", "1_000"] {
        match rewrite(source) {
            Ok(new) => assert_eq!(new.len(), source.len()),
            Err(error) => assert_eq!(error, Malformed::Grammar, "{source}"),
        }
    }
    assert_eq!(rewrite("[1e400,-1E+999999]").unwrap(), "[1e400,-1E+999999]");
    let long = format!("4242424242424242{}", "7".repeat(384));
    for source in [format!("[{long}]"), format!("{{\"a\":-{long}.5e3}}")] {
        let new = safely(&source, &["42424242", "77777777777777777777"]);
        let of =
            |text: &str| text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect::<String>();
        assert_eq!(of(&source), of(&new), "digits stand where digits stood");
        assert!(!new.contains("[0") && !new.contains("-0"), "no zero in front: {new}");
    }
    // A fraction is a score; its digits stay.
    assert_eq!(rewrite("0.4242424242424242").unwrap(), "0.4242424242424242");
}

#[test]
fn numbers_that_are_secrets_are_replaced_in_every_spelling() {
    for (number, digits) in [
        ("4242424242424242", "4242424242424242"),
        ("-4242424242424242", "4242424242424242"),
        ("4242424242424242.0", "4242424242424242"),
        ("4242424242424242E0", "4242424242424242"),
        ("378282246310005", "378282246310005"),
        ("219099999", "219099999"),
        ("2125550123", "2125550123"),
        ("12125550123", "12125550123"),
        // A Brazilian and a Polish identity number.
        ("11144477735", "11144477735"),
        ("44051401359", "44051401359"),
    ] {
        for source in [format!("{{\"text\":{number}}}"), format!("[[{number}],1]"), format!(" {number} ")] {
            let new = safely(&source, &[digits]);
            serde_json::from_str::<Value>(&new).unwrap();
        }
    }
    for harmless in ["1734596400", "1734596400123", "1700000000000000000", "100000000", "12345678"] {
        assert_eq!(rewrite(harmless).unwrap(), harmless);
    }
}

#[test]
fn a_null_character_hides_nothing() {
    let new = safely(
        r#"{"user":"Ada\u0000Lovelace","text":"mail\u0000ada@example.com\u0000now","a\u0000b":"Hopper"}"#,
        &["Ada", "Lovelace", "ada@", "example", "Hopper"],
    );
    assert_eq!(new.matches("\\u0000").count(), 4, "{new}");
    refused("{\"user\":\"Ada\0\"}");
    refused("{\"user\":\"Ada\"\0}");
}

#[test]
fn half_a_surrogate_pair_is_refused_or_hides_nothing() {
    for source in [
        r#"{"user":"\ud83dAda Lovelace"}"#,
        r#"{"user":"Ada Lovelace\udc00"}"#,
        r#"{"user":"\udc00\ud83dLovelace"}"#,
        r#"{"text":"\ud83d ada@example.com"}"#,
        r#"{"\ud83d":"Lovelace"}"#,
        r#"{"user":"\ud83d\u0041da Lovelace"}"#,
    ] {
        if let Ok(new) = rewrite(source) {
            assert_eq!(new.len(), source.len());
            for secret in ["Lovelace", "ada@example"] {
                assert!(!new.contains(secret), "{new}");
            }
        }
    }
    let new = safely(r#"{"user":"\ud83d\ude00 Lovelace"}"#, &["Lovelace"]);
    assert!(new.contains(r"\ud83d\ude00"), "a whole pair is an emoji, and stays: {new}");
}

#[test]
fn only_three_tokens_beyond_the_grammar_are_read() {
    let source = r#"{"a":NaN,"b":[Infinity,-Infinity],"user":"Lovelace"}"#;
    assert!(safely(source, &["Lovelace"]).starts_with(r#"{"a":NaN,"b":[Infinity,-Infinity],"#));
    for bad in ["nan", "-NaN", "+Infinity", "inf", "INFINITY", "NaN0", "Infinityx", "-Infinit", "undefined"] {
        refused(bad);
        refused(&format!("{{\"a\":{bad},\"user\":\"Lovelace\"}}"));
    }
}

#[test]
fn what_stands_around_a_document_is_refused() {
    for around in [
        "\u{feff}{}",
        "{}\u{feff}",
        "{}{}",
        "{}Lovelace",
        "{}//",
        "/**/{}",
        "{},",
        "{}\0",
        ")]}'\n{}",
        "\u{a0}{}",
    ] {
        refused(around);
    }
    assert_eq!(rewrite("\r\n\t {} \n").unwrap(), "\r\n\t {} \n");
}

#[test]
fn nesting_is_refused_beyond_the_limit_whatever_it_is_made_of() {
    let nested =
        |open: &str, close: &str, n: usize| format!("{}\"Lovelace\"{}", open.repeat(n), close.repeat(n));
    safely(&nested("[", "]", 64), &["Lovelace"]);
    safely(&nested("{\"a\":", "}", 64), &["Lovelace"]);
    for deep in [nested("[", "]", 65), nested("{\"a\":", "}", 65), nested("{\"a\":[", "]}", 33)] {
        assert_eq!(rewrite(&deep), Err(Malformed::TooDeep));
    }
    assert_eq!(rewrite(&"{\"a\":".repeat(500_000)), Err(Malformed::TooDeep));
    // Siblings do not add up.
    safely(&format!("[{}[]]", "[[\"Lovelace\"]],".repeat(1000)), &["Lovelace"]);
}

#[test]
fn bytes_that_are_no_utf8_are_refused() {
    for bad in
        [&b"{\"a\":\"\xff\"}"[..], b"{\"a\":\"\xed\xa0\x80\"}", b"{\"a\":\"\xc0\xaf\"}", b"\xff\xfe{\0}\0"]
    {
        let mut masker = Masker::new(Pseudonyms::new(&Key::random()), Detectors::all());
        let mut draft = Draft::new(bad, Place::RequestBody);
        let read = rewriter(&[], &[], 64).rewrite(&mut draft, 0..bad.len(), &mut masker);
        assert_eq!(read, Err(Malformed::Grammar), "{bad:?}");
    }
}
