use super::*;

fn error(yaml: &str) -> String {
    Policy::from_yaml(yaml, "p.yaml").unwrap_err().to_string()
}

#[test]
fn the_builtin_policy_is_valid_and_complete() {
    let policy = Policy::builtin();
    assert!(policy.rules.headers.request.len() > 10);
    assert!(policy.rules.detectors.off.is_empty());
    assert_eq!(policy.digest().len(), 64);
}

#[test]
fn a_file_adds_to_the_builtin_policy_or_starts_from_nothing() {
    let added = Policy::from_yaml("version: 1\njson: {keep: [/tag]}\n", "p").unwrap();
    assert!(added.rules.json.keep.len() == Policy::builtin().rules.json.keep.len() + 1);
    let bare = Policy::from_yaml("version: 1\nextends: nothing\n", "p").unwrap();
    assert!(bare.rules.headers.request.is_empty() && bare.rules.json.free_text.is_empty());
    assert_eq!(bare.rules.max_decoded_bytes, Some(DEFAULT_MAX_DECODED_BYTES));
}

#[test]
fn the_digest_names_the_meaning_not_the_spelling() {
    let digest = |yaml: &str| Policy::from_yaml(yaml, "p").unwrap().digest();
    assert_eq!(digest("version: 1\n"), Policy::builtin().digest());
    assert_eq!(
        digest("version: 1\nextends: builtin\njson: {keep: [/label]} # listed already\n"),
        Policy::builtin().digest()
    );
    assert_eq!(
        digest("version: 1\njson: {keep: [/a, /b]}"),
        digest("json:\n  keep:\n  - /b\n  - /a\nversion: 1")
    );
    assert_ne!(digest("version: 1\njson: {keep: [/a]}"), digest("version: 1\njson: {free_text: [/a]}"));
    assert_ne!(digest("version: 1\ndetectors: {off: [phone]}"), Policy::builtin().digest());
}

#[test]
fn errors_name_file_line_and_column_on_one_line() {
    let cases = [
        ("version: 1\nheadres: {}\n", "p.yaml:2:1: ", "headres"),
        ("version: 1\njson:\n  keep:\n    - label\n", "p.yaml:4:7: ", "begins with `/`"),
        ("version: 1\nheaders:\n  request: [Authorization]\n", "p.yaml:3:13: ", "holds credentials"),
        ("version: 1\nheaders:\n  request: ['*']\n", "p.yaml:3:13: ", "not a header name"),
        ("version: 7\n", "p.yaml:1:10: ", "version 7 is unknown"),
        ("version: 1\ndetectors: {off: [emails]}\n", "p.yaml:2:19: ", "emails"),
        ("version: 1\ncontent_types:\n  - {type: json, as: json}\n", "p.yaml:3:12: ", "not a media type"),
        ("version: 1\nfree_text_mode: strict\n", "p.yaml:2:17: ", "strict"),
        ("version: 1\nvocabulary: {digits: 1}\n", "p.yaml:2:13: ", "no effect without"),
        ("version: 1\nfree_text_mode: vocabulary\nvocabulary:\n  languages: [xx]\n", "p.yaml:4:15: ", "xx"),
        ("version: 1\nfree_text_mode: vocabulary\nvocabulary:\n  digits: 3\n", "p.yaml:4:11: ", "at most 2"),
        (
            "version: 1\nfree_text_mode: vocabulary\nvocabulary:\n  files: [no-such.txt]\n",
            "p.yaml:4:11: ",
            "no-such.txt",
        ),
        ("version: 1\njson: [\n", "p.yaml:", ""),
        ("json: {}\n", "p.yaml:1:1: ", "version"),
    ];
    for (yaml, place, says) in cases {
        let error = error(yaml);
        assert!(
            error.starts_with(place) && error.contains(says),
            "{error:?} should be {place:?} ... {says:?}"
        );
        assert!(!error.contains('\n'), "{error:?}");
    }
}

#[test]
fn a_bad_list_of_words_is_named_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("words.txt"), "one\ntwo three\n").unwrap();
    let path = dir.path().join("policy.yaml");
    std::fs::write(&path, "version: 1\nfree_text_mode: vocabulary\nvocabulary: {files: [words.txt]}\n")
        .unwrap();
    let error = Policy::from_file(&path).unwrap_err().to_string();
    assert!(
        error.contains("policy.yaml:3:22: vocabulary file ") && error.contains("words.txt:2: more than"),
        "{error}"
    );
}

#[test]
fn a_missing_file_is_named() {
    let error = Policy::from_file(Path::new("no-such-policy.yaml")).unwrap_err().to_string();
    assert!(error.contains("no-such-policy.yaml"), "{error}");
}

#[test]
fn a_wildcard_never_keeps_credentials() {
    let kept = KeptHeader::try_from("x-*".to_owned()).unwrap();
    assert!(kept.matches(b"X-Custom") && !kept.matches(b"X-API-Key") && !kept.matches(b"Accept"));
}

#[test]
fn a_review_warns_of_what_may_not_be_meant() {
    assert_eq!(Policy::builtin().review().warnings, Vec::<String>::new());
    for (yaml, words) in [
        ("headers: {request: [x-own-token]}", "x-own-token"),
        ("headers: {response: [\"x-*\"]}", "nearly every"),
        ("json: {keep: [/text]}", "/text` has no effect"),
        ("json: {keep: [/inputs/*], free_text: [/inputs/*]}", "/inputs/*` has no effect"),
        ("json: {keep: [\"/**\"]}", "every string"),
        ("detectors: {off: [card]}", "card is off"),
        ("max_decoded_bytes: 999999999999", "999999999999"),
        ("binary_tensors: {inputs: keep}", "token ids"),
    ] {
        let review = Policy::from_yaml(&format!("version: 1\n{yaml}\n"), "p").unwrap().review();
        assert_eq!(review.warnings.len(), 1, "{yaml}: {:?}", review.warnings);
        assert!(review.warnings[0].contains(words), "{:?}", review.warnings);
    }
}

#[test]
fn the_mode_can_be_chosen_without_a_file() {
    let strict = Policy::builtin().in_vocabulary_mode();
    let file = Policy::from_yaml("version: 1\nfree_text_mode: vocabulary\n", "p").unwrap();
    assert_eq!(strict.digest(), file.digest());
    assert_eq!(strict.in_detector_mode().digest(), Policy::builtin().digest());
    let none = "version: 1\nfree_text_mode: vocabulary\nvocabulary: {languages: []}\n";
    let none = Policy::from_yaml(none, "p").unwrap();
    assert_eq!(none.clone().in_vocabulary_mode().digest(), none.digest());
}
