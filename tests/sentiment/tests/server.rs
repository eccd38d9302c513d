//! What a client sees on the wire: shapes of the three generations, and faults, with raw sockets.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use understudy_sentiment::Options;

/// A stand-in that ends with its test's runtime.
struct StandIn(SocketAddr);

/// What came back until the connection ended.
struct Answer {
    status: u16,
    head: String,
    body: String,
    /// How the connection ended, when not in order.
    broken: Option<ErrorKind>,
}

impl StandIn {
    async fn start(args: &[&str]) -> StandIn {
        let quick = ["x", "--call-us=200", "--token-us=1", "--jitter=0"];
        let options = Options::try_parse_from(quick.iter().chain(args)).expect("arguments of the test");
        let listener = TcpListener::bind(options.listen).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        tokio::spawn(understudy_sentiment::serve(listener, options));
        StandIn(address)
    }

    /// Sends one request on its own connection and reads until the end.
    async fn send(&self, request: &str, headers: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.0).await.expect("the stand-in listens");
        let length = body.len();
        let request = format!(
            "{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.expect("the request fits the socket");
        let mut bytes = Vec::new();
        let broken = stream.read_to_end(&mut bytes).await.err().map(|error| error.kind());
        let text = String::from_utf8(bytes).expect("JSON is UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_lowercase(), body: body.to_owned(), broken }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), "", "").await
    }

    async fn predict(&self, body: &str) -> Answer {
        self.send("POST /predict", "content-type: application/json\r\n", body).await
    }

    async fn predict_with(&self, headers: &str) -> Answer {
        self.send("POST /predict", headers, TEXT).await
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn keys(&self) -> Vec<String> {
        self.json().as_object().expect("a JSON object").keys().cloned().collect()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

const TEXT: &str = r#"{"text":"What a great day, I love it!","id":"test_17"}"#;

#[tokio::test]
async fn predictions_have_the_keys_of_their_generation_in_order() {
    let a = StandIn::start(&["--generation=a"]).await.predict(TEXT).await;
    assert_eq!(a.keys(), ["label", "score", "inference_time_ms", "model_name", "text_length"]);
    assert_eq!(a.header("x-correlation-id"), None);
    assert_eq!(a.header("x-model-backend"), None);

    let b = StandIn::start(&["--generation=b", "--backend=onnx"]).await.predict(TEXT).await;
    let keys = ["label", "score", "inference_time_ms", "model_name", "text_length", "backend", "cached"];
    assert_eq!(b.keys(), keys);
    assert_eq!(b.header("x-model-backend"), Some("onnx"));
    assert_eq!(b.header("x-correlation-id").map(str::len), Some(36));

    let c = StandIn::start(&["--generation=c"]).await.predict(TEXT).await;
    let keys = [
        "label",
        "prediction_id",
        "score",
        "inference_time_ms",
        "model_name",
        "text_length",
        "backend",
        "cached",
        "features",
    ];
    assert_eq!(c.keys(), keys);
    assert_eq!(c.json()["features"], Value::Null);

    for answer in [a, b, c] {
        let body = answer.json();
        assert_eq!(
            (answer.status, &body["label"], &body["text_length"]),
            (200, &json!("POSITIVE"), &json!(28))
        );
        assert!(body["score"].as_f64().is_some_and(|score| (0.8..1.0).contains(&score)));
        let header: f64 = answer.header("x-inference-time-ms").unwrap().parse().unwrap();
        assert_eq!(body["inference_time_ms"].as_f64(), Some(header));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn errors_have_the_shape_of_their_generation() {
    let long = json!({"text": "x".repeat(513)}).to_string();
    let b = StandIn::start(&["--generation=b"]).await;
    let refused = b.predict(&long).await;
    assert_eq!((refused.status, &refused.json()["detail"]["error_code"]), (400, &json!("E1002")));
    assert_eq!(refused.json()["detail"]["context"], json!({"text_length": 513, "max_length": 512}));
    let blank = b.predict(r#"{"text":"  "}"#).await;
    assert_eq!((blank.status, &blank.json()["detail"]["error_code"]), (400, &json!("E1003")));
    let missing = b.predict(r#"{"message":"hello"}"#).await;
    assert_eq!((missing.status, &missing.json()["detail"][0]["loc"]), (422, &json!(["body", "text"])));
    assert_eq!(b.predict("{").await.status, 422);
    let unknown = b.get("/nothing").await;
    assert_eq!((unknown.status, unknown.json()), (404, json!({"detail": "Not Found"})));
    let wrong_method = b.get("/predict").await;
    assert_eq!((wrong_method.status, wrong_method.header("allow")), (405, Some("post")));

    let c = StandIn::start(&["--generation=c"]).await;
    let flat = c.send("POST /predict", "x-correlation-id: abc\r\n", &long).await;
    assert_eq!((flat.status, &flat.json()["error_code"]), (400, &json!("TEXT_TOO_LONG")));
    assert_eq!(flat.json()["correlation_id"], "abc");
    let invalid = c.predict("[]").await;
    assert_eq!((invalid.status, &invalid.json()["error_code"]), (422, &json!("E1001")));
    assert!(invalid.json()["validation_errors"].is_array());
}

#[tokio::test]
async fn the_api_key_is_asked_for_as_the_real_service_does() {
    let server = StandIn::start(&["--api-key=made-up-key-1"]).await;
    let refused = server.predict(TEXT).await;
    assert_eq!((refused.status, refused.json()), (401, json!({"detail": "Unauthorized"})));
    assert_eq!(server.predict_with("x-api-key: made-up-key-1\r\n").await.status, 200);
    assert_eq!(server.get("/health").await.status, 200);
    assert_eq!(server.get("/api/v1/health").await.status, 401);
}

#[tokio::test]
async fn paths_follow_prefix_and_generation() {
    let both = StandIn::start(&["--generation=a"]).await;
    assert_eq!(both.get("/health").await.status, 200);
    assert_eq!(both.get("/api/v1/health").await.status, 200);
    assert_eq!(both.get("/ready").await.status, 404);
    let production = StandIn::start(&["--prefix=/api/v1"]).await;
    assert_eq!(production.predict(TEXT).await.status, 404);
    assert_eq!(production.send("POST /api/v1/predict?x=1", "", TEXT).await.status, 200);
    assert_eq!(production.get("/api/v1/ready").await.json(), json!({"status": "ready"}));
    assert_eq!(production.get("/").await.json()["status"], "operational");
    let c = StandIn::start(&["--generation=c"]).await;
    let feedback = json!({"prediction_id": "p", "corrected_label": "NEGATIVE"}).to_string();
    assert_eq!(c.send("POST /feedback", "", &feedback).await.status, 201);
    assert_eq!(c.get("/health").await.keys().last().unwrap(), "async_batch_status");
}

#[tokio::test]
async fn a_cold_server_is_alive_but_not_ready() {
    let server = StandIn::start(&["--cold-start-ms=3600000"]).await;
    assert_eq!(server.get("/health").await.json()["model_status"], "unavailable");
    assert_eq!(server.get("/ready").await.status, 503);
    let refused = server.predict(TEXT).await;
    assert_eq!((refused.status, &refused.json()["detail"]["error_code"]), (503, &json!("E2001")));
}

#[tokio::test]
async fn a_repeated_text_comes_from_the_cache_with_its_old_inference_time() {
    let server = StandIn::start(&["--cache=10", "--jitter=0.5"]).await;
    let (first, second) = (server.predict(TEXT).await.json(), server.predict(TEXT).await.json());
    assert_eq!((&first["cached"], &second["cached"]), (&json!(false), &json!(true)));
    assert_eq!(first["inference_time_ms"], second["inference_time_ms"]);
}

#[tokio::test]
async fn metrics_carry_the_names_of_the_real_service() {
    let server = StandIn::start(&[]).await;
    server.predict(TEXT).await;
    server.get("/some/path/with/17").await;
    let metrics = server.get("/metrics").await.body;
    let requests = r#"sentiment_requests_total{endpoint="/predict",method="POST",status_code="200"} 1"#;
    assert!(metrics.contains(requests), "{metrics}");
    assert!(metrics.contains("sentiment_inference_duration_seconds_count 1"));
    assert!(metrics.contains("sentiment_model_loaded 1"));
    assert!(!metrics.contains("some/path"), "a client's path must not become a label");
}

#[tokio::test]
async fn a_reset_is_a_reset_on_the_wire() {
    let server = StandIn::start(&["--fault=reset=1"]).await;
    let answer = server.predict(TEXT).await;
    assert_eq!((answer.status, answer.broken), (0, Some(ErrorKind::ConnectionReset)));
    assert_eq!(server.get("/health").await.status, 200, "faults hit predictions only");
}

#[tokio::test]
async fn a_truncated_body_stops_short_of_its_promised_length() {
    let server = StandIn::start(&["--fault=truncate=1"]).await;
    let answer = server.predict(TEXT).await;
    let promised: usize = answer.header("content-length").unwrap().parse().unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, promised / 2));
}

#[tokio::test]
async fn a_slow_body_comes_whole_and_late() {
    let server = StandIn::start(&["--fault=slow-body=1:200ms"]).await;
    let begun = Instant::now();
    let answer = server.predict(TEXT).await;
    assert!(begun.elapsed() >= Duration::from_millis(190), "{:?}", begun.elapsed());
    assert_eq!(answer.json()["label"], "POSITIVE");
    assert_eq!(answer.header("content-length"), Some(&*answer.body.len().to_string()));
}

#[tokio::test]
async fn faults_by_header_need_the_flag() {
    let obeys = StandIn::start(&["--faults-by-header"]).await;
    let refused = obeys.predict_with("x-fault: status:503\r\n").await;
    assert_eq!((refused.status, &refused.json()["detail"]["error_code"]), (503, &json!("E4002")));
    let begun = Instant::now();
    assert_eq!(obeys.predict_with("x-fault: stall:150ms\r\n").await.status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(150));
    assert_eq!(obeys.predict_with("x-fault: explod\r\n").await.status, 501);
    assert_eq!(obeys.predict_with("").await.status, 200);
    let ignores = StandIn::start(&[]).await;
    assert_eq!(ignores.predict_with("x-fault: status:503\r\n").await.status, 200);
}

#[tokio::test]
async fn a_kept_connection_serves_request_after_request() {
    let server = StandIn::start(&[]).await;
    let mut stream = TcpStream::connect(server.0).await.unwrap();
    for _ in 0..3 {
        let request =
            format!("POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{TEXT}", TEXT.len());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut seen = String::new();
        while !seen.ends_with('}') {
            let mut buffer = [0; 1024];
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "closed after {seen}");
            seen.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        assert!(seen.starts_with("HTTP/1.1 200"), "{seen}");
    }
}
