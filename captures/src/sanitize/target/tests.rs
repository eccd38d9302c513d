use super::super::Key;
use super::super::policy::Policy;
use super::super::pseudonym::Pseudonyms;
use super::*;

fn sanitize(target: &str) -> String {
    let policy = Policy::builtin();
    let mut masker = Masker::new(Pseudonyms::new(&Key::random()), policy.detectors());
    let new = Targets::new(policy.rules())
        .sanitize(Bytes::copy_from_slice(target.as_bytes()), &mut masker)
        .unwrap();
    String::from_utf8(new.to_vec()).unwrap()
}

#[test]
fn routes_of_inference_servers_stay() {
    for target in [
        "/",
        "*",
        "/predict",
        "/api/v1/predict",
        "/v2/models/distilbert-base-uncased-finetuned-sst-2-english/versions/3/infer",
        "/v1/models/sentiment:predict",
        "/v1beta1/models/bge-large-en-v1.5",
        "/models/cardiffnlp/twitter-roberta-base-sentiment-latest",
        "/health/details?verbose=true",
        "/batch/queue/status",
        "/predict?truncate=true&top_k=3",
    ] {
        assert_eq!(sanitize(target), target);
    }
}

#[test]
fn identifiers_in_the_path_go() {
    for (target, secret) in [
        ("/batch/status/job-7", "job-7"),
        ("/users/ada/profile", "ada"),
        ("/api/orders/20041", "20041"),
        ("/o/123e4567-e89b-42d3-a456-426614174000", "123e4567"),
        ("/o/5f2b8c9e1d", "5f2b8c9e1d"),
        ("/o/dXNlcjEyMzQ1Njc4OTA", "dXNlcjEyMzQ1"),
        ("/mail/ada@example.com", "ada"),
        ("/mail/ada%40example.com", "ada"),
        ("/mail/ada%2540example.com", "ada"),
        ("/pay/4242424242424242", "4242"),
        ("/predict;jsessionid=abc123/x", "abc123"),
        ("/ip/192.168.12.34", "192.168"),
    ] {
        let new = sanitize(target);
        assert!(!new.contains(secret), "{target} became {new}");
        assert_eq!(new.len(), target.len());
        assert_eq!(new.matches('/').count(), target.matches('/').count());
    }
}

#[test]
fn parameter_names_stay_and_values_go() {
    let new = sanitize("/predict?user=ada&text=so+good%21&limit=10&flag&4242424242424242=1&a b=c#top-secret");
    assert!(
        new.starts_with("/predict?user=") && new.contains("&text=") && new.contains("&limit=10&"),
        "{new}"
    );
    for secret in ["ada", "good", "flag", "4242", "secret", "a b"] {
        assert!(!new.contains(secret), "{secret} in {new}");
    }
    assert!(new.contains("+") && new.contains("%21"), "{new}");
}

#[test]
fn absolute_targets_lose_their_credentials() {
    let new = sanitize("http://jo:hunter2@host.example/predict?x=secret");
    assert!(new.starts_with("http://") && new.contains("@host.example/predict?x="), "{new}");
    assert!(!new.contains("hunter2") && !new.contains("secret"), "{new}");
}

#[test]
fn equal_values_stay_equal() {
    let new = sanitize("/predict?a=ada&b=ada&c=%61da");
    let values: Vec<_> = new.split('&').map(|p| p.split_once('=').unwrap().1).collect();
    assert_eq!(values[0], values[1]);
    let decoded =
        |raw: &str| Decoder::default().decode(raw.as_bytes(), Encoding::Form).unwrap().text.to_owned();
    assert_eq!(decoded(values[2]), values[0]);
}

#[test]
fn a_target_that_is_no_text_is_refused() {
    let policy = Policy::builtin();
    let mut masker = Masker::new(Pseudonyms::new(&Key::random()), policy.detectors());
    let mut targets = Targets::new(policy.rules());
    for bad in [&b"/a\xff"[..], b"/a?x=%ff"] {
        assert!(targets.sanitize(Bytes::copy_from_slice(bad), &mut masker).is_err());
    }
}
