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
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};

use crate::ledger::Ledger;

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
    draining: watch::Receiver<bool>,
}

// === impl Admin ===

impl Admin {
    pub(crate) fn new(
        listener: TcpListener,
        ledger: Arc<Ledger>,
        recording: Arc<AtomicBool>,
        draining: watch::Receiver<bool>,
    ) -> Admin {
        Admin { listener: Some(listener), desk: Arc::new(FrontDesk { ledger, recording, draining }) }
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
        let answer = desk.answer(request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(answer) }
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
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        match path {
            "/metrics" if is_read => respond(StatusCode::OK, METRICS, self.ledger.render()),
            "/healthz" if is_read => respond(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" if is_read => self.ready(),
            "/recording" if is_read => self.recording(),
            "/recording/on" if method == Method::POST => self.switch(true),
            "/recording/off" if method == Method::POST => self.switch(false),
            "/metrics" | "/healthz" | "/readyz" | "/recording" => refuse_method("GET, HEAD"),
            "/recording/on" | "/recording/off" => refuse_method("POST"),
            _ => respond(StatusCode::NOT_FOUND, TEXT, "no such page\n"),
        }
    }

    /// Whether traffic is taken. A failing recorder does not count: taking a pod out of its Service because its
    /// recording fails would be recording that changes traffic.
    fn ready(&self) -> Response<Full<Bytes>> {
        if *self.draining.borrow() {
            respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n")
        } else {
            respond(StatusCode::OK, TEXT, "ready\n")
        }
    }

    /// Whether what passes is recorded: 503 when it should be and cannot.
    fn recording(&self) -> Response<Full<Bytes>> {
        let on = self.recording.load(Ordering::Relaxed);
        let up = self.ledger.recorder_up.get() == 1;
        let status = if on && !up { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        respond(status, JSON, format!("{{\"recording\":{on},\"recorder_up\":{up}}}\n"))
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

fn refuse_method(allowed: &'static str) -> Response<Full<Bytes>> {
    let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, format!("use {allowed}\n"));
    response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static(allowed));
    response
}
