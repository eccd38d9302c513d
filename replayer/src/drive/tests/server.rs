//! A candidate in this process that keeps a log and misbehaves on demand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

/// How a server treats its clients.
#[derive(Clone, Copy, Debug)]
pub(super) enum Manner {
    /// Answers at once.
    Answer,
    /// Answers each request after this long, any number at a time.
    Take(Duration),
    /// Stands still for a while, connections and all, when the nth request comes: like a stopped process.
    FreezeAt(usize, Duration),
    /// Does what the last part of the path says: `moved`, `missing`, `overloaded`, `reset`, `hang`, `gzip`; answers
    /// otherwise.
    AsAsked,
    /// Closes the connection after each answer without saying so.
    CloseSilently,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Logged {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) fields: HeaderMap,
    pub(super) body: Bytes,
}

#[derive(Default)]
struct Record {
    log: Mutex<Vec<Logged>>,
    connections: AtomicUsize,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
}

/// A server on a thread of its own, until dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    record: Arc<Record>,
    _end: oneshot::Sender<()>,
}

impl Server {
    pub(super) fn start(manner: Manner) -> Server {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let record = Arc::new(Record::default());
        let shared = Arc::clone(&record);
        let (end, ended) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    _ = ended => {}
                    () = accept(listener, manner, shared) => {}
                }
            });
        });
        Server { address, record, _end: end }
    }

    pub(super) fn log(&self) -> Vec<Logged> {
        self.record.log.lock().unwrap().clone()
    }

    /// Connections accepted, the probe before the run included.
    pub(super) fn connections(&self) -> usize {
        self.record.connections.load(Ordering::SeqCst)
    }

    /// Most requests at one time.
    pub(super) fn most_under_way(&self) -> usize {
        self.record.most_under_way.load(Ordering::SeqCst)
    }
}

async fn accept(listener: tokio::net::TcpListener, manner: Manner, record: Arc<Record>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        record.connections.fetch_add(1, Ordering::SeqCst);
        let record = Arc::clone(&record);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let record = Arc::clone(&record);
                async move {
                    let now = record.under_way.fetch_add(1, Ordering::SeqCst) + 1;
                    record.most_under_way.fetch_max(now, Ordering::SeqCst);
                    let response = respond(request, manner, &record).await;
                    record.under_way.fetch_sub(1, Ordering::SeqCst);
                    response
                }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if matches!(manner, Manner::CloseSilently) {
                let mut connection = std::pin::pin!(connection);
                // Ends after one answer, with no `connection: close` in it.
                let quiet = tokio::time::sleep(Duration::from_millis(3));
                tokio::select! { _ = connection.as_mut() => {}, () = quiet => {} }
            } else {
                connection.await.ok();
            }
        });
    }
}

async fn respond(
    request: Request<hyper::body::Incoming>,
    manner: Manner,
    record: &Record,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let number = {
        let mut log = record.log.lock().unwrap();
        log.push(Logged {
            method: head.method.to_string(),
            target: head.uri.to_string(),
            fields: head.headers,
            body,
        });
        log.len()
    };
    match manner {
        Manner::Take(time) => tokio::time::sleep(time).await,
        // Blocks the whole server on purpose.
        Manner::FreezeAt(at, time) if number == at => std::thread::sleep(time),
        _ => {}
    }
    let answer = br#"{"label":"positive","score":0.875}"#;
    let mut response = Response::new(Full::new(Bytes::from_static(answer)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if matches!(manner, Manner::AsAsked) {
        match head.uri.path().rsplit('/').next().unwrap_or_default() {
            "reset" => return Err(std::io::Error::other("asked to")),
            "hang" => std::future::pending().await,
            "gzip" => {
                let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                coder.write_all(answer).unwrap();
                *response.body_mut() = Full::new(Bytes::from(coder.finish().unwrap()));
                response.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
            }
            "moved" => *response.status_mut() = StatusCode::FOUND,
            "missing" => *response.status_mut() = StatusCode::NOT_FOUND,
            "overloaded" => *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
            _ => {}
        }
    }
    Ok(response)
}

/// The body of a GET.
pub(super) fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
