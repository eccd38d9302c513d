//! The JSON of generations A, B and C.
//!
//! Key order is that of the real service. Where it depends on the client's bytes (FastAPI repeats the offending input
//! in a 422), the stand-in leaves them out.

use clap::ValueEnum;
use hyper::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use crate::sentiment::Answer;

/// The model that the stand-in plays.
pub const MODEL_NAME: &str = "distilbert-base-uncased-finetuned-sst-2-english";

/// A generation of the service's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Generation {
    /// September 2025: no /ready, no correlation id
    A,
    /// October 2025: adds `backend`, `cached`, /ready and X-Correlation-ID
    B,
    /// December 2025: adds `prediction_id`, `features`, /feedback and flat errors
    C,
}

/// What `/predict` says.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// Label and score.
    pub answer: Answer,
    /// Length of the model's call; that of the first call on a cache hit, as in the real service.
    pub inference_time_ms: f64,
    /// Characters of the text.
    pub text_length: usize,
    /// The inference library.
    pub backend: &'static str,
    /// Whether the answer was given before.
    pub cached: bool,
    /// Names the prediction, for `/feedback`.
    pub prediction_id: String,
}

/// A request that is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The body is not JSON.
    NotJson,
    /// The body has no string where one is required.
    NoString(&'static str),
    /// The text is blank.
    Blank,
    /// The text is too long.
    TooLong {
        /// Its characters.
        length: usize,
        /// The most that are taken.
        limit: usize,
    },
    /// The body is larger than any text can be.
    BodyTooLarge,
    /// The model is not loaded yet.
    NotLoaded,
    /// No API key, or a wrong one.
    Unauthorized,
    /// No such path in this generation.
    NotFound,
    /// The path is there, the method is not.
    MethodNotAllowed,
    /// An error that was asked for.
    Injected(StatusCode),
}

/// Fields that only errors of generation C carry.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// The request's correlation id.
    pub correlation_id: &'a str,
    /// Seconds since the Unix epoch.
    pub timestamp: f64,
}

#[derive(Serialize)]
struct PredictionA<'a> {
    label: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    prediction_id: Option<&'a str>,
    score: f64,
    inference_time_ms: f64,
    model_name: &'a str,
    text_length: usize,
    #[serde(flatten)]
    newer: Option<PredictionB<'a>>,
}

#[derive(Serialize)]
struct PredictionB<'a> {
    backend: &'a str,
    cached: bool,
    /// Outer `None` leaves the key out (B), inner `None` is `null` (C).
    #[serde(skip_serializing_if = "Option::is_none")]
    features: Option<Option<()>>,
}

// === impl Generation ===

impl Generation {
    /// The body of a successful `/predict`.
    pub fn prediction(self, prediction: &Prediction) -> Vec<u8> {
        let has_id = self >= Generation::C;
        let body = PredictionA {
            label: prediction.answer.label.name(),
            prediction_id: has_id.then_some(prediction.prediction_id.as_str()),
            score: prediction.answer.score,
            inference_time_ms: prediction.inference_time_ms,
            model_name: MODEL_NAME,
            text_length: prediction.text_length,
            newer: (self >= Generation::B).then_some(PredictionB {
                backend: prediction.backend,
                // Generation C never reports a hit.
                cached: prediction.cached && self == Generation::B,
                features: has_id.then_some(None),
            }),
        };
        serde_json::to_vec(&body).expect("plain fields always serialize")
    }

    /// The body of `/health`.
    pub fn health(self, loaded: bool, backend: &str, timestamp: f64) -> Value {
        let mut health = json!({
            "status": "healthy",
            "model_status": if loaded { "available" } else { "unavailable" },
            "version": "1.0.0",
            "timestamp": timestamp,
        });
        if self >= Generation::B {
            health["backend"] = backend.into();
        }
        if self >= Generation::C {
            health["kafka_status"] = Value::Null;
            health["async_batch_status"] = Value::Null;
        }
        health
    }

    /// The body of `/model-info`.
    pub fn model_info(self, loaded: bool, backend: &str, limit: usize, cache: (usize, usize)) -> Value {
        let (cache_size, cache_max) = cache;
        if self >= Generation::C {
            return json!({
                "model_name": MODEL_NAME,
                "backend": backend,
                "device": "cpu",
                "is_loaded": loaded,
                "max_text_length": limit,
                "cache_enabled": cache_max > 0,
                "cache_size": cache_size,
                "cache_maxsize": cache_max,
            });
        }
        json!({
            "model_name": MODEL_NAME,
            "is_loaded": loaded,
            "is_ready": loaded,
            "cache_dir": Value::Null,
            "torch_version": Value::Null,
            "cuda_available": false,
            "device_count": 0,
            "cache_stats": {
                "cache_size": cache_size,
                "cache_max_size": cache_max,
                "cache_hit_ratio": Value::Null,
            },
        })
    }

    /// Status and body of an error.
    pub fn problem(self, problem: &Problem, stamp: Stamp<'_>) -> (StatusCode, Value) {
        let status = problem.status();
        let code = status.as_u16();
        match problem {
            Problem::Unauthorized => (status, json!({"detail": "Unauthorized"})),
            Problem::NotFound => (status, json!({"detail": "Not Found"})),
            Problem::MethodNotAllowed => (status, json!({"detail": "Method Not Allowed"})),
            Problem::BodyTooLarge => (status, json!({"detail": "Request Entity Too Large"})),
            Problem::NotJson | Problem::NoString(_) => (status, self.validation(problem, stamp)),
            _ if self >= Generation::C => {
                let mut body = json!({
                    "error_code": problem.name(),
                    "error_message": problem.message(),
                    "status_code": code,
                    "correlation_id": stamp.correlation_id,
                    "timestamp": stamp.timestamp,
                });
                if let Problem::TooLong { .. } = problem {
                    body["context"] = problem.context();
                }
                (status, body)
            }
            _ => {
                let detail = json!({
                    "error_code": problem.number(),
                    "error_message": problem.message(),
                    "status_code": code,
                    "detail": problem.message(),
                    "context": problem.context(),
                });
                (status, json!({ "detail": detail }))
            }
        }
    }

    /// The body of a 422: FastAPI's own in A and B.
    fn validation(self, problem: &Problem, stamp: Stamp<'_>) -> Value {
        let errors = match problem {
            Problem::NoString(field) => {
                json!([{"type": "missing", "loc": ["body", field], "msg": "Field required"}])
            }
            _ => json!([{"type": "json_invalid", "loc": ["body", 0], "msg": "JSON decode error"}]),
        };
        if self < Generation::C {
            return json!({ "detail": errors });
        }
        json!({
            "error_code": "E1001",
            "error_message": "Request validation failed",
            "detail": problem.message(),
            "validation_errors": errors,
            "correlation_id": stamp.correlation_id,
            "timestamp": stamp.timestamp,
        })
    }
}

// === impl Problem ===

impl Problem {
    fn status(&self) -> StatusCode {
        match self {
            Problem::NotJson | Problem::NoString(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Problem::Blank | Problem::TooLong { .. } => StatusCode::BAD_REQUEST,
            Problem::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Problem::NotLoaded => StatusCode::SERVICE_UNAVAILABLE,
            Problem::Unauthorized => StatusCode::UNAUTHORIZED,
            Problem::NotFound => StatusCode::NOT_FOUND,
            Problem::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Problem::Injected(status) => *status,
        }
    }

    /// The code of generations A and B.
    fn number(&self) -> &'static str {
        match self {
            Problem::Blank => "E1003",
            Problem::TooLong { .. } => "E1002",
            Problem::NotLoaded => "E2001",
            Problem::Injected(StatusCode::SERVICE_UNAVAILABLE) => "E4002",
            Problem::Injected(StatusCode::TOO_MANY_REQUESTS) => "E4003",
            Problem::Injected(_) => "E4001",
            _ => "E1001",
        }
    }

    /// The code of generation C.
    fn name(&self) -> &'static str {
        match self {
            Problem::Blank => "TEXT_EMPTY",
            Problem::TooLong { .. } => "TEXT_TOO_LONG",
            Problem::NotLoaded => "MODEL_NOT_LOADED",
            other => other.number(),
        }
    }

    fn message(&self) -> String {
        match self {
            Problem::NotJson => "the body is not JSON".into(),
            Problem::NoString(field) => format!("{field}: Field required"),
            Problem::Blank => "Text is empty".into(),
            Problem::TooLong { limit, .. } => format!("Text exceeds maximum length of {limit} characters"),
            Problem::NotLoaded => "Model is not loaded".into(),
            Problem::Injected(status) => status.canonical_reason().unwrap_or("Error").into(),
            Problem::BodyTooLarge | Problem::Unauthorized | Problem::NotFound | Problem::MethodNotAllowed => {
                self.status().canonical_reason().unwrap_or("Error").into()
            }
        }
    }

    fn context(&self) -> Value {
        match self {
            Problem::TooLong { length, limit } => json!({"text_length": length, "max_length": limit}),
            _ => json!({}),
        }
    }
}
