//! Traffic of a sentiment service as a recorder beside it sees it: the texts of the samples, in the messages that the
//! programs around such a service really send.
//!
//! Requests come from python-httpx through an nginx ingress, which adds its nine fields; answers come from uvicorn with
//! the fields of the service. Of twenty exchanges eighteen ask for one prediction (`POST /predict`), one hands in a batch
//! of 32 texts (`POST /batch/predict`), and one fetches the 32 results of a batch (`GET /batch/results/ID`).

use bytes::Bytes;

use super::Text;
use crate::exchange::{
    Body, Ending, Exchange, ExchangeId, Headers, HttpVersion, Request, Response, Stamp, Timing, UnixNanos,
};

/// Texts of a batch.
const BATCH: usize = 32;

/// Exchanges within one second, which share a `date`.
const RATE: u64 = 200;

const MODEL: &str = "distilbert-base-uncased-finetuned-sst-2-english";

/// An exchange, and the bytes that it was on the wire.
#[derive(Clone, Debug)]
pub struct Sample {
    /// As the recorder assembles it.
    pub exchange: Exchange,
    /// Request line, status line, fields and bodies, in bytes.
    pub wire_bytes: usize,
    /// Of these, bytes of bodies.
    pub body_bytes: usize,
}

/// One message as text.
struct Message {
    head: String,
    body: String,
}

/// Exchanges over `texts`, each text asked for once: alone or within a batch.
pub fn of(texts: impl IntoIterator<Item = Text>) -> Vec<Sample> {
    let mut texts = texts.into_iter();
    let mut samples = Vec::new();
    while let Some(text) = texts.next() {
        let n = samples.len() as u64;
        let (request, response) = match n % 20 {
            9 => hand_in(n, &[text].into_iter().chain(texts.by_ref()).take(BATCH).collect::<Vec<_>>()),
            19 => fetch(n, &[text].into_iter().chain(texts.by_ref()).take(BATCH).collect::<Vec<_>>()),
            _ => predict(n, &text),
        };
        samples.push(sample(n, request, response));
    }
    samples
}

fn predict(n: u64, text: &Text) -> (Message, Message) {
    let asked = serde_json::json!({ "text": text.text });
    let answered = prediction(n, text, &[("cached", "false")]);
    (request(n, "POST /predict", asked.to_string()), response(n, answered))
}

fn hand_in(n: u64, texts: &[Text]) -> (Message, Message) {
    let texts: Vec<&str> = texts.iter().map(|text| text.text).collect();
    let asked = serde_json::json!({ "texts": texts, "priority": "medium", "timeout_seconds": 300 });
    let answered = format!(
        r#"{{"job_id":"{}","status":"pending","total_texts":{},"estimated_completion_seconds":3.2,"created_at":"2026-11-21T22:45:54.{:06}Z","priority":"medium","progress_percentage":0.0}}"#,
        id("job", n),
        texts.len(),
        n % 1_000_000,
    );
    (request(n, "POST /batch/predict", asked.to_string()), response(n, answered))
}

fn fetch(n: u64, texts: &[Text]) -> (Message, Message) {
    let job = id("job", n);
    let results = texts.iter().enumerate().map(|(i, text)| {
        let prediction_id = format!("\"{}\"", id("prediction", n * BATCH as u64 + i as u64));
        prediction(n, text, &[("cached", "false"), ("prediction_id", &prediction_id), ("features", "null")])
    });
    let answered = format!(
        r#"{{"job_id":"{job}","results":[{}],"total_results":{BATCH},"page":1,"page_size":100,"has_more":false,"summary":{{}}}}"#,
        results.collect::<Vec<_>>().join(","),
    );
    let target = format!("GET /batch/results/{job}?page=1&page_size=100");
    (request(n, &target, String::new()), response(n, answered))
}

fn prediction(n: u64, text: &Text, more: &[(&str, &str)]) -> String {
    let label = if text.rating > 0.0 { "POSITIVE" } else { "NEGATIVE" };
    let more: String = more.iter().map(|(name, value)| format!(",\"{name}\":{value}")).collect();
    format!(
        r#"{{"label":"{label}","score":{:.4},"inference_time_ms":{}.{:02},"model_name":"{MODEL}","text_length":{},"backend":"pytorch"{more}}}"#,
        0.5 + f64::from(text.rating.abs()) / 8.01,
        20 + n % 40,
        n % 100,
        text.text.chars().count(),
    )
}

fn request(n: u64, line: &str, body: String) -> Message {
    let correlation = id("correlation", n);
    let request = id("request", n).replace('-', "");
    let client = format!("203.0.113.{}", n % 250 + 1);
    let content = match body.len() {
        0 => String::new(),
        len => format!("Content-Length: {len}\r\ncontent-type: application/json\r\n"),
    };
    let head = format!(
        "{line} HTTP/1.1\r\nHost: sentiment.example.com\r\nX-Request-ID: {request}\r\nX-Real-IP: {client}\r\n\
         X-Forwarded-For: {client}\r\nX-Forwarded-Host: sentiment.example.com\r\nX-Forwarded-Port: 443\r\n\
         X-Forwarded-Proto: https\r\nX-Forwarded-Scheme: https\r\nX-Scheme: https\r\n{content}accept: */*\r\n\
         accept-encoding: gzip, deflate\r\nuser-agent: python-httpx/0.28.1\r\nx-api-key: {}\r\n\
         x-correlation-id: {correlation}\r\n\r\n",
        id("key", n % 7).replace('-', ""),
    );
    Message { head, body }
}

fn response(n: u64, body: String) -> Message {
    let at = n / RATE;
    let head = format!(
        "HTTP/1.1 200 OK\r\ndate: Sat, 21 Nov 2026 {:02}:{:02}:{:02} GMT\r\nserver: uvicorn\r\ncontent-length: {}\r\n\
         content-type: application/json\r\nx-inference-time-ms: {}.{:02}\r\nx-model-backend: pytorch\r\n\
         x-correlation-id: {}\r\n\r\n",
        at / 3600 % 24,
        at / 60 % 60,
        at % 60,
        body.len(),
        20 + n % 40,
        n % 100,
        id("correlation", n),
    );
    Message { head, body }
}

/// An id in the shape of a UUID, drawn from a name.
fn id(name: &str, n: u64) -> String {
    let hex = blake3::hash(format!("{name} {n}").as_bytes()).to_hex();
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

fn sample(n: u64, asked: Message, answered: Message) -> Sample {
    let body_bytes = asked.body.len() + answered.body.len();
    let wire_bytes = asked.head.len() + answered.head.len() + body_bytes;
    let head = Bytes::from(asked.head);
    let mut line = head.split(|b| *b == b' ').map(|word| head.slice_ref(word));
    let request = Request {
        method: line.next().unwrap_or_default(),
        target: line.next().unwrap_or_default(),
        version: HttpVersion::Http11,
        headers: fields(&head),
        body: body(asked.body),
        trailers: Headers::default(),
    };
    let response = Response {
        status: 200,
        version: HttpVersion::Http11,
        headers: fields(&Bytes::from(answered.head)),
        body: body(answered.body),
        trailers: Headers::default(),
    };
    let exchange = Exchange {
        id: ExchangeId(n.into()),
        connection: n % 16,
        index: (n / 16) as u32,
        arrival: UnixNanos(1_795_000_000_000_000_000 + n * 1_000_000_000 / RATE),
        request,
        response: Some(response),
        ending: Ending::Complete,
        timing: Timing { request_end: Some(40_000), response_start: Some(35_000_000), end: 35_100_000 },
        chunks: Vec::new(),
        redactions: Default::default(),
        trace_id: None,
        stamp: Stamp::default(),
    };
    Sample { exchange, wire_bytes, body_bytes }
}

/// The fields of a head, as slices of it.
fn fields(head: &Bytes) -> Headers {
    let lines = head.split(|b| *b == b'\n').skip(1).map(<[u8]>::trim_ascii);
    let fields = lines.filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        Some((head.slice_ref(&line[..colon]), head.slice_ref(line[colon + 1..].trim_ascii())))
    });
    fields.collect()
}

fn body(text: String) -> Body {
    Body { original_len: text.len() as u64, bytes: text.into(), ..Body::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::texts;

    #[test]
    fn messages_read_as_http_and_are_measured_whole() {
        let samples = of(texts());
        let singles = samples.iter().filter(|s| &s.exchange.request.target[..] == b"/predict").count();
        assert!(
            (0.88..0.92).contains(&(singles as f64 / samples.len() as f64)),
            "{singles} of {}",
            samples.len()
        );
        for Sample { exchange, wire_bytes, body_bytes } in &samples {
            let response = exchange.response.as_ref().unwrap();
            let bodies = [&exchange.request.body, &response.body].map(|body| body.bytes.len());
            assert_eq!(bodies.iter().sum::<usize>(), *body_bytes);
            assert!(*wire_bytes > body_bytes + 600, "{wire_bytes} {body_bytes}");
            assert_eq!(response.headers.get_str("content-length"), Some(&bodies[1].to_string()[..]));
            serde_json::from_slice::<serde_json::Value>(&response.body.bytes).unwrap();
            if bodies[0] > 0 {
                serde_json::from_slice::<serde_json::Value>(&exchange.request.body.bytes).unwrap();
            }
        }
    }
}
