use serde_json::{Value, json};

use super::super::tests::import_with;
use super::super::{Format, Note, Notes};
use super::*;

fn texts(choice: Choice, match_length: bool) -> Texts {
    let lines = ["a first text of some words", "another", "and a third one"].map(String::from).to_vec();
    Texts::new(lines, choice, match_length).unwrap()
}

fn synthesis(preset: &str, match_length: bool) -> Option<Synthesis> {
    let template = Template::preset(preset).unwrap();
    Some(Synthesis { texts: texts(Choice::InTurn, match_length), template })
}

fn body(exchange: &Exchange) -> Value {
    serde_json::from_slice(&exchange.request.body.bytes).unwrap()
}

#[test]
fn an_azure_trace_becomes_requests_of_its_lengths() {
    let trace = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:15:46.6805900,374,44\r\n2023-11-16 18:15:50.9951690+00:00,3,109\n";
    let (all, imported) = import_with(trace.as_bytes(), None, synthesis("kubesentiment", true)).unwrap();
    assert_eq!(all[0].arrival.to_string(), "2023-11-16T18:15:46.680590000Z");
    assert_eq!(all[1].arrival.since(all[0].arrival), 4_314_579_000);
    let lengths: Vec<_> = all.iter().map(|exchange| body(exchange)["text"].as_str().unwrap().len()).collect();
    assert!((374 * 4..374 * 4 + 20).contains(&lengths[0]), "{lengths:?}");
    assert!((12..20).contains(&lengths[1]), "{lengths:?}");
    assert_eq!(&all[0].request.target[..], b"/predict");
    assert!(all[0].request.headers.get("host").is_none(), "no host is made up");
    let notes = &imported.notes;
    assert_eq!((notes.count(Note::TextsJoined), notes.count(Note::OutputLengthDropped)), (2, 2));
    assert_eq!(notes.count(Note::NoResponse), 2);
}

#[test]
fn a_mooncake_trace_counts_from_its_own_zero() {
    let trace = "{\"timestamp\": 0, \"input_length\": 2, \"output_length\": 9, \"hash_ids\": [1, 2]}\n{\"timestamp\": 27482, \"input_length\": 2}\n";
    let (all, imported) = import_with(trace.as_bytes(), None, synthesis("openai", false)).unwrap();
    assert_eq!(imported.formats, [Format::Mooncake]);
    assert_eq!(all[0].arrival.to_string(), "2000-01-01T00:00:00.000000000Z");
    assert_eq!(all[1].arrival.since(all[0].arrival), 27_482_000_000);
    assert_eq!(body(&all[0])["messages"][0]["content"], "a first text of some words");
    assert_eq!(body(&all[0])["max_tokens"], 9);
    assert!(body(&all[1]).get("max_tokens").is_none(), "an unknown length is not made up");
    assert_eq!(imported.notes.count(Note::CacheBlocksDropped), 1);
}

#[test]
fn rows_that_are_wrong_cost_themselves_alone() {
    let trace = "TIMESTAMP,ContextTokens,GeneratedTokens\n0001-01-01 00:00:00,1,1\nx,1,1\n2023-11-16 18:15:46,-1,1\n2023-11-16 18:15:46,99999999999999,1\n2023-11-16 18:15:46\n2023-11-16 18:15:47,1,1\n";
    let (all, imported) = import_with(trace.as_bytes(), None, synthesis("tei", true)).unwrap();
    assert_eq!((all.len(), imported.conservation.unparseable), (1, 5));
    for line in [
        "{\"timestamp\":-5,\"input_length\":1}",
        "{\"timestamp\":1e300,\"input_length\":1}",
        "{\"timestamp\":1,\"input_length\":-1}",
    ] {
        assert!(
            import_with(line.as_bytes(), Some(Format::Mooncake), synthesis("tei", true)).is_err(),
            "{line}"
        );
    }
}

#[test]
fn texts_are_taken_in_turn_or_drawn_by_a_seed() {
    let draw = |choice| {
        let mut texts = texts(choice, false);
        (0..20).map(|_| texts.next(1, &mut Notes::default())).collect::<Vec<_>>()
    };
    assert_eq!(
        draw(Choice::InTurn)[..4],
        ["a first text of some words", "another", "and a third one", "a first text of some words"]
    );
    assert_eq!(draw(Choice::Drawn(7)), draw(Choice::Drawn(7)));
    assert_ne!(draw(Choice::Drawn(7)), draw(Choice::Drawn(8)));
}

#[test]
fn files_of_texts_are_read_by_their_kind_and_errors_name_the_line() {
    let dir = tempfile::tempdir().unwrap();
    let read = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        Texts::from_file(&path, Choice::InTurn, false).map(|mut texts| texts.next(1, &mut Notes::default()))
    };
    assert_eq!(read("a.txt", b"\n one \ntwo").unwrap(), " one ");
    assert_eq!(read("a.jsonl", b"{\"text\":\"one\"}\n\"two\"\n").unwrap(), "one");
    assert_eq!(read("a.tsv", b"id\ttext\n1\tone\n").unwrap(), "one");
    for (name, content, told) in [
        ("b.jsonl", &b"\"one\"\n{\"words\":1}\n"[..], "b.jsonl:2: neither"),
        ("b.tsv", b"id\ttext\n1\n", "b.tsv:2: no column"),
        ("b.txt", b"one\n\xff\n", "b.txt:2: not UTF-8"),
        ("c.txt", b"\n \n", "holds no text"),
    ] {
        let error = read(name, content).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_template_fills_text_and_numbers_and_refuses_what_has_no_text() {
    let json = json!({ "target": "/v2/infer", "body": { "p": ["say: {{text}}!", 1], "in": "{{input_tokens}}", "out": "{{output_tokens}}" } });
    let template = Template::from_json(json.to_string().as_bytes(), "t.json").unwrap();
    let filled = template.fill("a \"b\"", 5, Some(6));
    let body: Value = serde_json::from_slice(&filled.request.body.bytes).unwrap();
    assert_eq!(body, json!({ "p": ["say: a \"b\"!", 1], "in": 5, "out": 6 }));
    assert!(filled.has_output);
    for (json, told) in [
        (r#"{"target":"/x","body":{}}"#, "has no {{text}}"),
        (r#"{"target":"http://x/","body":"{{text}}"}"#, "no path"),
        (r#"{"target":"/x","body":"{{text}}","host":"a"}"#, "unknown field"),
    ] {
        let error = Template::from_json(json.as_bytes(), "t.json").unwrap_err().to_string();
        assert!(error.starts_with("t.json: ") && error.contains(told), "{error}");
    }
}
