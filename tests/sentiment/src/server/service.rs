//! Routes a request, serves it and breaks it where a fault asks so.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::body::Reply;
use super::cache::Cache;
use crate::fault::{Fault, Lottery};
use crate::generation::{Generation, Prediction, Problem, Stamp};
use crate::node::Node;
use crate::options::Options;
use crate::sentiment::{Model, tokens};
use crate::telemetry::Telemetry;

/// Larger than any text that is taken, even with each character escaped as JSON allows.
const MAX_BODY: usize = 1 << 20;

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// One stand-in.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) node: Node,
    options: Options,
    model: Model,
    telemetry: Telemetry,
    cache: Mutex<Cache>,
    lottery: Mutex<Lottery>,
}

/// The connection is to be reset, on request.
#[derive(Debug, thiserror::Error)]
#[error("the connection is reset, as the fault asks")]
pub(crate) struct Reset;

/// What is served under a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Root,
    Predict,
    Health,
    Ready,
    Metrics,
    ModelInfo,
    Feedback,
}

type Answered = Result<Response<Bytes>, Problem>;

/// Whether hyper gave a connection up because of [`Reset`].
pub(crate) fn is_reset(error: &hyper::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<Reset>())
}

// === impl Service ===

impl Service {
    pub(crate) fn new(options: Options) -> anyhow::Result<Self> {
        Ok(Self {
            node: Node::start(options.compute()),
            model: Model::new(options.wrong_labels, options.score_noise, options.seed),
            telemetry: Telemetry::new()?,
            cache: Mutex::new(Cache::new(options.cache)),
            lottery: Mutex::new(Lottery::new(options.faults.clone(), StdRng::seed_from_u64(options.seed))?),
            options,
        })
    }

    pub(crate) async fn serve(&self, request: Request<Incoming>) -> Result<Response<Reply>, Reset> {
        let begun = Instant::now();
        self.telemetry.active.inc();
        let served = self.serve_or_break(request, begun).await;
        self.telemetry.active.dec();
        served
    }

    async fn serve_or_break(
        &self,
        request: Request<Incoming>,
        begun: Instant,
    ) -> Result<Response<Reply>, Reset> {
        let generation = self.options.generation;
        let route = self.route(request.uri().path());
        let method = request.method().clone();
        let correlation = correlation_id(request.headers());
        let fault = self.fault(route, &request);
        let answered = match fault {
            Some(Fault::Reset) => return Err(Reset),
            Some(Fault::Status(status)) => Err(Problem::Injected(status)),
            Some(Fault::Stall(pause)) => {
                tokio::time::sleep(pause).await;
                self.answer(route, request).await
            }
            Some(Fault::SlowBody(_) | Fault::Truncate) | None => self.answer(route, request).await,
        };
        let mut response = answered.unwrap_or_else(|problem| {
            let stamp = Stamp { correlation_id: &correlation, timestamp: epoch_seconds() };
            let (status, body) = generation.problem(&problem, stamp);
            let mut response = json_response(status, &body);
            if let (Problem::MethodNotAllowed, Some(route)) = (&problem, route) {
                response.headers_mut().insert(ALLOW, HeaderValue::from_static(route.method_name()));
            }
            response
        });
        if generation >= Generation::B
            && let Ok(value) = HeaderValue::from_str(&correlation)
        {
            response.headers_mut().insert(CORRELATION_ID, value);
        }
        let endpoint = route.map_or("unknown", Route::path);
        self.telemetry.answered(endpoint, method.as_str(), response.status().as_u16(), begun.elapsed());
        Ok(response.map(|body| match fault {
            Some(Fault::SlowBody(over)) => Reply::slow(body, over),
            Some(Fault::Truncate) => Reply::truncated(body),
            _ => Reply::whole(body),
        }))
    }

    async fn answer(&self, route: Option<Route>, request: Request<Incoming>) -> Answered {
        self.authorize(request.uri().path(), request.method(), request.headers())?;
        let route = route.ok_or(Problem::NotFound)?;
        if request.method() != route.method() {
            return Err(Problem::MethodNotAllowed);
        }
        let generation = self.options.generation;
        let backend = self.options.backend.name();
        let loaded = self.node.is_ready();
        match route {
            Route::Predict => self.predict(request).await,
            Route::Health => {
                Ok(json_response(StatusCode::OK, &generation.health(loaded, backend, epoch_seconds())))
            }
            Route::Ready if loaded => Ok(json_response(StatusCode::OK, &json!({"status": "ready"}))),
            Route::Ready => Err(Problem::NotLoaded),
            Route::ModelInfo => {
                let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner).size();
                let limit = self.options.max_text_length;
                Ok(json_response(StatusCode::OK, &generation.model_info(loaded, backend, limit, cache)))
            }
            Route::Metrics => match self.telemetry.render(loaded, self.node.queued()) {
                Ok(text) => Ok(typed(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)),
                Err(_) => Err(Problem::Injected(StatusCode::INTERNAL_SERVER_ERROR)),
            },
            Route::Feedback => feedback(request).await,
            Route::Root => Ok(json_response(
                StatusCode::OK,
                &json!({
                    "service": "sentiment stand-in (models load, measures no hardware)",
                    "version": env!("CARGO_PKG_VERSION"),
                    "status": "operational",
                    "docs_url": Value::Null,
                    "health_url": "/health",
                }),
            )),
        }
    }

    async fn predict(&self, request: Request<Incoming>) -> Answered {
        let body = read(request).await?;
        let text = field(&body, "text")?.trim().to_owned();
        let length = text.chars().count();
        if length == 0 {
            return Err(Problem::Blank);
        }
        if length > self.options.max_text_length {
            return Err(Problem::TooLong { length, limit: self.options.max_text_length });
        }
        if !self.node.is_ready() {
            return Err(Problem::NotLoaded);
        }
        let hit = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(&text);
        let cached = hit.is_some();
        let (answer, inference) = match hit {
            Some(hit) => hit,
            None => {
                let inference = self.node.infer(tokens(&text)).await.ok_or(Problem::NotLoaded)?;
                let answer = self.model.answer(&text);
                self.cache.lock().unwrap_or_else(PoisonError::into_inner).insert(&text, answer, inference);
                (answer, inference)
            }
        };
        self.telemetry.predicted(answer.score, length, inference);
        let inference_time_ms = (inference.as_secs_f64() * 100_000.0).round() / 100.0;
        let prediction = Prediction {
            answer,
            inference_time_ms,
            text_length: length,
            backend: self.options.backend.name(),
            cached,
            prediction_id: uuid(),
        };
        let mut response =
            typed(StatusCode::OK, "application/json", self.options.generation.prediction(&prediction));
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(&inference_time_ms.to_string()) {
            headers.insert("x-inference-time-ms", value);
        }
        if self.options.generation >= Generation::B {
            headers.insert("x-model-backend", HeaderValue::from_static(prediction.backend));
        }
        Ok(response)
    }

    /// The fault that hits this request: the one its header asks for, else one drawn for predictions.
    fn fault<B>(&self, route: Option<Route>, request: &Request<B>) -> Option<Fault> {
        if self.options.faults_by_header
            && let Some(asked) = request.headers().get("x-fault").and_then(|value| value.to_str().ok())
        {
            // A misspelt fault must not pass for a healthy answer.
            return Some(asked.parse().unwrap_or(Fault::Status(StatusCode::NOT_IMPLEMENTED)));
        }
        if route != Some(Route::Predict) || request.method() != Method::POST {
            return None;
        }
        self.lottery.lock().unwrap_or_else(PoisonError::into_inner).draw()
    }

    fn route(&self, path: &str) -> Option<Route> {
        if path == "/" {
            return Some(Route::Root);
        }
        let prefixes = match &self.options.prefix {
            Some(only) => vec![only.trim_end_matches('/')],
            None => vec!["", "/api/v1"],
        };
        let generation = self.options.generation;
        prefixes.into_iter().find_map(|prefix| {
            let path = path.strip_prefix(prefix)?;
            Route::ALL.into_iter().find(|route| route.path() == path && route.since() <= generation)
        })
    }

    fn authorize(&self, path: &str, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(key) = &self.options.api_key else { return Ok(()) };
        // The real service compares whole paths, so that nothing below `/api/v1` is exempt.
        let exempt = ["/metrics", "/health", "/docs", "/redoc"].iter().any(|open| path.starts_with(open));
        let given = headers.get("x-api-key").map(HeaderValue::as_bytes);
        if exempt || method == Method::OPTIONS || given == Some(key.as_bytes()) {
            return Ok(());
        }
        Err(Problem::Unauthorized)
    }
}

// === impl Route ===

impl Route {
    const ALL: [Route; 6] =
        [Route::Predict, Route::Health, Route::Ready, Route::Metrics, Route::ModelInfo, Route::Feedback];

    fn path(self) -> &'static str {
        match self {
            Route::Root => "/",
            Route::Predict => "/predict",
            Route::Health => "/health",
            Route::Ready => "/ready",
            Route::Metrics => "/metrics",
            Route::ModelInfo => "/model-info",
            Route::Feedback => "/feedback",
        }
    }

    fn method(self) -> Method {
        if matches!(self, Route::Predict | Route::Feedback) { Method::POST } else { Method::GET }
    }

    fn method_name(self) -> &'static str {
        if matches!(self, Route::Predict | Route::Feedback) { "POST" } else { "GET" }
    }

    /// The generation that brought it.
    fn since(self) -> Generation {
        match self {
            Route::Ready => Generation::B,
            Route::Feedback => Generation::C,
            _ => Generation::A,
        }
    }
}

async fn feedback(request: Request<Incoming>) -> Answered {
    let body = read(request).await?;
    let prediction_id = field(&body, "prediction_id")?;
    field(&body, "corrected_label")?;
    let thanks = json!({
        "status": "success",
        "message": "Feedback received",
        "prediction_id": prediction_id,
    });
    Ok(json_response(StatusCode::CREATED, &thanks))
}

async fn read(request: Request<Incoming>) -> Result<Value, Problem> {
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    let bytes = body.map_err(|_| Problem::BodyTooLarge)?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|_| Problem::NotJson)
}

fn field<'a>(body: &'a Value, name: &'static str) -> Result<&'a str, Problem> {
    body.get(name).and_then(Value::as_str).ok_or(Problem::NoString(name))
}

fn json_response(status: StatusCode, body: &Value) -> Response<Bytes> {
    typed(status, "application/json", body.to_string())
}

fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The client's correlation id, or a new one.
fn correlation_id(headers: &HeaderMap) -> String {
    headers.get(CORRELATION_ID).and_then(|value| value.to_str().ok()).map_or_else(uuid, str::to_owned)
}

/// A random UUID, version 4.
fn uuid() -> String {
    let bits: u128 = rand::rng().random();
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn epoch_seconds() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    (since.as_secs_f64() * 10_000.0).round() / 10_000.0
}
