use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;

use super::super::detect::Detectors;
use super::super::key::Key;
use super::super::paths::Pattern;
use super::super::pseudonym::Pseudonyms;
use super::*;
use crate::exchange::Place;

mod edges;

fn rewriter(free: &[&str], keep: &[&str], max_depth: usize) -> Rewriter {
    let set = |list: &[&str]| -> BTreeSet<Pattern> {
        list.iter().map(|p| Pattern::try_from((*p).to_owned()).unwrap()).collect()
    };
    Rewriter::new(Paths::new(&set(free), &set(keep)), max_depth)
}

fn rewrite(source: &str) -> Result<String, Malformed> {
    let mut masker = Masker::new(Pseudonyms::new(&Key::random()), Detectors::all());
    let mut draft = Draft::new(source.as_bytes(), Place::RequestBody);
    rewriter(&["/text", "/texts/*"], &["/label"], 64).rewrite(&mut draft, 0..source.len(), &mut masker)?;
    Ok(draft.finish().map_or(source.to_owned(), |bytes| String::from_utf8(bytes).unwrap()))
}

#[test]
fn only_strings_the_policy_does_not_name_change() {
    let source =
        r#" { "text" : "a fine day" ,"label":"POSITIVE", "user":"Ada","n":[1.50,-0e3,true,null ],"n":2 } "#;
    let new = rewrite(source).unwrap();
    assert_eq!(new.len(), source.len());
    assert_ne!(new, source);
    let at = source.find("Ada").unwrap();
    assert_eq!((&new[..at], &new[at + 3..]), (&source[..at], &source[at + 3..]));
    assert_ne!(&new[at..at + 3], "Ada");
}

#[test]
fn nothing_hides_behind_escapes_nor_in_keys() {
    let new = rewrite(
        r#"{"text":"mail \u0061\u0064a\u0040example.com","jo@example.com":1,"te\u0078t":"kept as is"}"#,
    )
    .unwrap();
    // One letter may stand for itself by chance, three of them do not.
    assert!(!new.contains(r"\u0061\u0064a") && !new.contains("example") && new.contains("\\u0040"), "{new}");
    assert!(new.ends_with(r#""te\u0078t":"kept as is"}"#), "{new}");
}

#[test]
fn integers_that_name_somebody_are_replaced() {
    let new =
        rewrite(r#"[4242424242424242, 219099999, 2125550123, 1734596400, 12345678, -4242424242424242.5]"#)
            .unwrap();
    assert!(
        !new.contains("4242424242424242") && !new.contains("219099999") && !new.contains("2125550123"),
        "{new}"
    );
    assert!(new.contains("1734596400, 12345678"), "{new}");
    serde_json::from_str::<Value>(&new).unwrap();
}

#[test]
fn long_kept_strings_are_not_names() {
    let label = "word ".repeat(26);
    let new = rewrite(&format!(r#"{{"label":"{label}"}}"#)).unwrap();
    assert!(!new.contains("word word"));
}

#[test]
fn the_tokens_that_tensorflow_serving_writes_are_read() {
    let source = r#"{"predictions":[NaN,Infinity,-Infinity,1e-7]}"#;
    assert_eq!(rewrite(source).unwrap(), source);
}

#[test]
fn what_is_no_json_is_refused() {
    for bad in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "[1 2]",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "-",
        "tru",
        "nul",
        "\"a",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\t\"",
        "{} {}",
        "[]]",
        "'a'",
        "NaNo",
        "{\"a\"}",
        "[\"\\",
        "\"\\u00",
        "-Inf",
        "\u{feff}{}",
    ] {
        assert_eq!(rewrite(bad), Err(Malformed::Grammar), "{bad:?}");
    }
}

#[test]
fn depth_is_limited() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(rewrite(&nested(64)).is_ok());
    assert_eq!(rewrite(&nested(65)), Err(Malformed::TooDeep));
    assert_eq!(rewrite(&"[".repeat(1_000_000)), Err(Malformed::TooDeep));
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-zA-Z0-9 ]{4,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[a-z_]{1,8}", inner), 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

/// Same containers, keys and types; strings of the same number of characters, and none of more than three left.
fn same_shape(old: &Value, new: &Value) -> Result<(), TestCaseError> {
    match (old, new) {
        (Value::Array(a), Value::Array(b)) => {
            prop_assert_eq!(a.len(), b.len());
            a.iter().zip(b).try_for_each(|(a, b)| same_shape(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            prop_assert!(a.keys().eq(b.keys()));
            a.values().zip(b.values()).try_for_each(|(a, b)| same_shape(a, b))
        }
        (Value::String(a), Value::String(b)) => {
            prop_assert_eq!(a.chars().count(), b.chars().count());
            let replaceable = a.chars().any(char::is_alphanumeric);
            prop_assert!(!replaceable || a != b, "{} survived", a);
            Ok(())
        }
        (Value::Number(a), Value::Number(b)) => {
            prop_assert_eq!(a.is_f64(), b.is_f64());
            // A float is printed in as many digits as it needs, not as it was written.
            prop_assert!(a.is_f64() || a.to_string().len() == b.to_string().len());
            Ok(())
        }
        _ => {
            prop_assert_eq!(old, new);
            Ok(())
        }
    }
}

/// Escapes every character beyond ASCII, as Python's `json` does.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|u| out.push_str(&format!("\\u{u:04x}")));
        }
    }
    out
}

proptest! {
    #[test]
    fn valid_json_stays_valid_json_of_the_same_shape(document in json(), pretty: bool, ascii: bool) {
        let document = serde_json::json!({ "unlisted": document });
        let source = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) }.unwrap();
        let source = if ascii { escaped(&source) } else { source };
        let new = rewrite(&source).unwrap();
        prop_assert_eq!(new.len(), source.len());
        same_shape(&serde_json::from_str(&source).unwrap(), &serde_json::from_str(&new).unwrap())?;
    }

    #[test]
    fn what_serde_json_refuses_is_refused_too(source in r#"[\[\]{}:,"a0-9.eE+\- \\ntu]{0,12}"#) {
        if serde_json::from_str::<Value>(&source).is_err() && !source.contains("\\u") {
            // Numbers out of a float's range are numbers all the same.
            let out_of_range = serde_json::from_str::<Value>(&source).unwrap_err().to_string().contains("out of range");
            prop_assert!(rewrite(&source).is_err() || out_of_range, "{}", source);
        } else if serde_json::from_str::<Value>(&source).is_ok() {
            prop_assert!(rewrite(&source).is_ok());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(source in any::<String>()) {
        rewrite(&source).ok();
    }
}
