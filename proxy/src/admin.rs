//! The admin address: metrics, health, the recording switch. Never reachable through the traffic port.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};

use crate::controls::Controls;
use crate::failure::Failure;
use crate::flight::Asker;
use crate::ledger::Ledger;
use crate::lifecycle::Phase;
use crate::shipper::{Account, Dock};

/// Connections at a time: scrapers and probes, not traffic.
const MAX_CONNECTIONS: usize = 64;
/// A client must send its request within this time.
const HEADER_PATIENCE: Duration = Duration::from_secs(5);

const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

/// Answers on the admin address.
pub(crate) struct Admin {
    listener: Option<TcpListener>,
    desk: Arc<FrontDesk>,
}

/// What the answers are made of.
pub(crate) struct FrontDesk {
    ledger: Arc<Ledger>,
    recording: Arc<AtomicBool>,
    phases: watch::Receiver<Phase>,
    controls: Controls,
    dock: Option<Dock>,
}

/// What becomes of what passes.
#[derive(Serialize)]
struct RecordingPage {
    recording: bool,
    recorder_up: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    shipping: Option<Account>,
}

// === impl Admin ===

impl Admin {
    pub(crate) fn new(
        listener: TcpListener,
        ledger: Arc<Ledger>,
        recording: Arc<AtomicBool>,
        phases: watch::Receiver<Phase>,
        controls: Controls,
        dock: Option<Dock>,
    ) -> Admin {
        let desk = FrontDesk { ledger, recording, phases, controls, dock };
        Admin { listener: Some(listener), desk: Arc::new(desk) }
    }

    async fn serve(&self, listener: tokio::net::TcpListener) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            // The semaphore is never closed.
            let Ok(place) = places.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let desk = self.desk.clone();
                    tokio::spawn(async move {
                        converse(stream, desk).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an admin connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

async fn converse(stream: TcpStream, desk: Arc<FrontDesk>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let desk = desk.clone();
        async move { Ok::<_, Infallible>(desk.answer(&request).await) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEADER_PATIENCE);
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "an admin connection ended early");
    }
}

#[async_trait]
impl Service for Admin {
    async fn start_service(
        &mut self,
        _inherited: Option<ListenFds>,
        _shutdown: ShutdownWatch,
        _listeners_per_fd: usize,
    ) {
        let Some(listener) = self.listener.take() else { return };
        match tokio::net::TcpListener::from_std(listener) {
            // It answers to the end, so that the drain can be watched; its runtime is then dropped.
            Ok(listener) => self.serve(listener).await,
            Err(error) => tracing::error!(%error, "cannot listen on the admin address"),
        }
    }

    fn name(&self) -> &str {
        "admin"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }
}

// === impl FrontDesk ===

impl FrontDesk {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let (method, path) = (request.method(), request.uri().path());
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        match path {
            "/metrics" if is_read => respond(StatusCode::OK, METRICS, self.ledger.render()),
            "/healthz" if is_read => respond(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" if is_read => self.ready(),
            "/recording" if is_read => self.recording(),
            "/recording/on" if method == Method::POST => self.switch(true),
            "/recording/off" if method == Method::POST => self.switch(false),
            "/reload" if method == Method::POST => self.reload().await,
            "/flight-recorder" if is_read => self.json(StatusCode::OK, |controls| controls.frozen()).await,
            "/flight-recorder/freeze" if method == Method::POST => {
                let name = request.uri().query().and_then(name_in);
                self.json(StatusCode::ACCEPTED, move |controls| controls.freeze(name, Asker::Admin)).await
            }
            "/flight-recorder" => refuse_method("GET, HEAD"),
            "/metrics" | "/healthz" | "/readyz" | "/recording" => refuse_method("GET, HEAD"),
            "/recording/on" | "/recording/off" | "/reload" | "/flight-recorder/freeze" => {
                refuse_method("POST")
            }
            _ => respond(StatusCode::NOT_FOUND, TEXT, "no such page\n"),
        }
    }

    /// Whether traffic is taken. At first that takes a recorder that has written the head of a segment; once it was
    /// ready, a failing recorder does not count: taking a pod out of its Service because its recording fails would be
    /// recording that changes traffic.
    fn ready(&self) -> Response<Full<Bytes>> {
        match *self.phases.borrow() {
            Phase::Starting => respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, "starting\n"),
            Phase::Ready => respond(StatusCode::OK, TEXT, "ready\n"),
            Phase::Leaving => respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, "leaving\n"),
            Phase::Draining => respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n"),
        }
    }

    async fn reload(&self) -> Response<Full<Bytes>> {
        let applied = |controls: &Controls| Ok(format!("{{\"policy\":\"{}\"}}", controls.reload()?));
        self.json(StatusCode::OK, applied).await
    }

    /// What `work` says, as JSON.
    async fn json(
        &self,
        status: StatusCode,
        work: impl FnOnce(&Controls) -> Result<String, Failure> + Send + 'static,
    ) -> Response<Full<Bytes>> {
        match self.off_thread(work).await {
            Ok(json) => respond(status, JSON, format!("{json}\n")),
            Err(failure) => refuse(&failure),
        }
    }

    /// Work that may wait for the recorder, on a thread that nobody else waits for.
    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Controls) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let controls = self.controls.clone();
        let done = tokio::task::spawn_blocking(move || work(&controls)).await;
        done.unwrap_or_else(|_| Err(Failure::Bug("the work that was asked for panicked".to_owned())))
    }

    /// Whether what passes is recorded: 503 when it should be and cannot.
    fn recording(&self) -> Response<Full<Bytes>> {
        let on = self.recording.load(Ordering::Relaxed);
        let up = self.ledger.recorder_up.get() == 1;
        let status = if on && !up { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        let page =
            RecordingPage { recording: on, recorder_up: up, shipping: self.dock.as_ref().map(Dock::account) };
        let json = serde_json::to_string(&page).unwrap_or_default();
        respond(status, JSON, format!("{json}\n"))
    }

    fn switch(&self, on: bool) -> Response<Full<Bytes>> {
        self.recording.store(on, Ordering::Relaxed);
        self.ledger.recording.set(on.into());
        tracing::info!(on, "recording was switched");
        self.recording()
    }
}

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}

/// The value of `name` in a query. Names need no percent-encoding; what has some is refused as a name.
fn name_in(query: &str) -> Option<String> {
    query.split('&').find_map(|pair| pair.strip_prefix("name=")).map(str::to_owned)
}

/// What was asked for is wrong, or cannot be done now.
fn refuse(failure: &Failure) -> Response<Full<Bytes>> {
    let status = match failure {
        Failure::Data(_) => StatusCode::CONFLICT,
        Failure::Usage(_) | Failure::Input(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Failure::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        Failure::Bug(_) | Failure::Output(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    respond(status, TEXT, format!("{failure}\n"))
}

fn refuse_method(allowed: &'static str) -> Response<Full<Bytes>> {
    let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, format!("use {allowed}\n"));
    response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static(allowed));
    response
}
