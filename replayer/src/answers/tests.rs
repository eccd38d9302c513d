use proptest::prelude::*;

use super::*;

fn found(preset: &str, body: &str) -> Option<(String, Option<f32>)> {
    let preset = Preset::named(preset).unwrap();
    preset.answer(body.as_bytes()).map(|answer| (answer.label.into_owned(), answer.score))
}

#[test]
fn kubesentiment_reads_all_three_generations_of_the_service() {
    let a =
        r#"{"label":"POSITIVE","score":0.9998,"inference_time_ms":35.21,"model_name":"m","text_length":57}"#;
    let b = r#"{"label":"positive","score":0.9998,"model_name":"m","text_length":57,"backend":"onnx","cached":false}"#;
    let c = r#"{"label":"POSITIVE","prediction_id":"8e0d","score":0.9998,"features":null}"#;
    for body in [a, b, c] {
        assert_eq!(found("kubesentiment", body), Some(("POSITIVE".into(), Some(0.9998))));
    }
}

#[test]
fn an_answer_without_label_is_no_answer() {
    for body in [
        "",
        "not json",
        "[]",
        "null",
        r#"{"score":0.5}"#,
        r#"{"label":null,"score":0.5}"#,
        r#"{"label":"","score":0.5}"#,
        r#"{"label":["POSITIVE"],"score":0.5}"#,
        r#"{"label":"POSITIVE","score":0.5"#,
        r#"{"detail":{"error_code":"E1002","error_message":"too long"}}"#,
    ] {
        assert_eq!(found("kubesentiment", body), None, "{body}");
    }
}

#[test]
fn a_score_that_is_no_finite_number_is_no_score() {
    assert_eq!(found("kubesentiment", r#"{"label":"A","score":"0.5"}"#), Some(("A".into(), None)));
    assert_eq!(found("kubesentiment", r#"{"label":"A","score":1e300}"#), Some(("A".into(), None)));
    assert_eq!(found("kubesentiment", r#"{"label":"A"}"#), Some(("A".into(), None)));
}

#[test]
fn text_of_any_length_is_not_a_label() {
    let body = format!(r#"{{"label":"{}"}}"#, "x".repeat(MAX_LABEL + 1));
    assert_eq!(found("kubesentiment", &body), None);
}

#[test]
fn the_best_class_wins_whatever_the_order() {
    let sorted = r#"[{"score":0.99,"label":"POSITIVE"},{"score":0.01,"label":"NEGATIVE"}]"#;
    let unsorted = r#"[[{"score":0.01,"label":"NEGATIVE"},{"score":0.99,"label":"POSITIVE"}]]"#;
    for preset in ["tei", "huggingface"] {
        assert_eq!(found(preset, sorted), Some(("POSITIVE".into(), Some(0.99))));
        assert_eq!(found(preset, unsorted), Some(("POSITIVE".into(), Some(0.99))));
    }
    let vllm =
        r#"{"id":"classify-1","data":[{"index":0,"label":"LABEL_1","probs":[0.2,0.8],"num_classes":2}]}"#;
    assert_eq!(found("vllm", vllm), Some(("LABEL_1".into(), Some(0.8))));
}

#[test]
fn the_answers_of_several_inputs_are_not_read_as_one() {
    let batch = r#"[[{"score":0.9,"label":"A"}],[{"score":0.9,"label":"B"}]]"#;
    assert_eq!(found("tei", batch), None);
    assert_eq!(found("vllm", r#"{"data":[{"label":"A","probs":[1]},{"label":"B","probs":[1]}]}"#), None);
}

#[test]
fn rules_point_anywhere() {
    let preset = Preset::rules("/result/0/cl~1ass", Some("/result/0/p")).unwrap();
    let answer = preset.answer(br#"{"result":[{"cl/ass":7,"p":0.25}]}"#).unwrap();
    assert_eq!((&answer.label[..], answer.score), ("7", Some(0.25)));
    assert_eq!(preset.pointers(), Some(("/result/0/cl~1ass", Some("/result/0/p"))));
    assert!(preset.has_score());
    assert!(!Preset::rules("/label", None).unwrap().has_score());
}

#[test]
fn what_is_no_pointer_is_refused_with_the_way_out() {
    for bad in ["", "label", "$.label", "/a~", "/a~2b"] {
        let refusal = Preset::rules(bad, None).unwrap_err().to_string();
        assert!(refusal.contains("leading slash") && refusal.contains(bad), "{refusal}");
    }
    assert!(Preset::rules("/label", Some("score")).unwrap_err().to_string().contains("the score"));
    let unknown = Preset::named("kubesentimnt").unwrap_err().to_string();
    assert_eq!(
        unknown,
        "no preset is called `kubesentimnt`; there are: kubesentiment, tei, huggingface, vllm"
    );
}

#[test]
fn only_what_changes_nothing_is_safe() {
    let kube = Preset::named("kubesentiment").unwrap();
    for path in ["/predict", "/api/v1/predict"] {
        assert!(kube.is_safe(b"POST", path.as_bytes()));
        assert!(!kube.is_safe(b"DELETE", path.as_bytes()) && !kube.is_safe(b"PUT", path.as_bytes()));
    }
    for path in ["/feedback", "/batch/predict", "/predict/", "/x/predict", "/predict2", "/"] {
        assert!(!kube.is_safe(b"POST", path.as_bytes()), "{path}");
        assert!(kube.is_safe(b"GET", path.as_bytes()), "{path}");
    }
    let hugging = Preset::named("huggingface").unwrap();
    assert!(hugging.is_safe(b"POST", b"/models/distilbert"));
    assert!(!hugging.is_safe(b"POST", b"/models/") && !hugging.is_safe(b"POST", b"/models/../admin"));
    assert!(!Preset::rules("/label", None).unwrap().is_safe(b"POST", b"/predict"));
    assert!(!kube.is_safe(b"get", b"/"));
}

#[test]
fn the_input_is_found_where_the_service_expects_it() {
    let kube = Preset::named("kubesentiment").unwrap();
    assert_eq!(kube.input(br#"{"text":"fine \u263a","id":"test_17"}"#), Some("fine \u{263a}".into()));
    assert_eq!(kube.input(b"plain"), None);
    assert_eq!(Preset::named("tei").unwrap().input(br#"{"inputs":[["fine"]]}"#), Some("fine".into()));
    assert_eq!(Preset::named("huggingface").unwrap().input(br#"{"inputs":["fine"]}"#), Some("fine".into()));
}

proptest! {
    #[test]
    fn no_body_makes_reading_fail(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for name in Preset::NAMES {
            let preset = Preset::named(name).unwrap();
            prop_assert!(preset.answer(&body).is_none_or(|a| a.label.len() <= MAX_LABEL));
            preset.input(&body);
        }
    }

    #[test]
    fn labels_compare_without_case(label in "[a-zA-Z]{1,12}", score in 0.0f32..1.0) {
        let read = |label: &str| {
            found("kubesentiment", &serde_json::json!({ "label": label, "score": score }).to_string())
        };
        prop_assert_eq!(read(&label), read(&label.to_lowercase()));
        prop_assert_eq!(read(&label).unwrap().1, Some(score));
    }
}

#[test]
fn a_question_is_asked_where_the_answer_is_looked_for() {
    for name in Preset::NAMES {
        let preset = Preset::named(name).unwrap();
        let question = preset.question("a \"quoted\" text");
        assert_eq!(preset.input(&question).as_deref(), Some("a \"quoted\" text"), "{name}");
        assert!(preset.is_safe(b"POST", preset.path().unwrap().as_bytes()), "{name}");
    }
}
