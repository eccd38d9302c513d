//! Production traffic: sends the script at its own instants, faster by a factor, over kept connections.
//!
//! Open loop, as real clients are: a request never waits for an earlier one. Instants are good to a millisecond,
//! which is enough here, because what counts is what the sidecar sees and not what was meant.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, COOKIE, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use super::person;
use super::script::{Client, Line, Script};
use crate::drive::Stop;

/// A probe of the platform comes with every so many requests.
const PROBE_EVERY: usize = 50;

/// What was sent and what came back, as the clients counted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Sent {
    /// Predictions asked for.
    pub(super) requests: u64,
    /// Of these, not answered with 200.
    pub(super) failed: u64,
    /// Health probes.
    pub(super) probes: u64,
    /// Most requests in any one second, counted from the first.
    pub(super) busiest_second: u64,
    /// Connections that were opened, probes' own left out.
    pub(super) connections: u64,
}

type Sender = SendRequest<Full<Bytes>>;

/// The service as its clients see it: an address and the connections kept to it.
struct Service {
    address: SocketAddr,
    /// Idle connections, the one used last on top.
    idle: RefCell<Vec<Sender>>,
    sent: RefCell<Sent>,
}

/// Sends the whole script to `address`, `squeeze` times as fast as it was recorded, and waits for all answers.
pub(super) fn send(address: SocketAddr, script: &Script, squeeze: f64, stop: &Stop) -> std::io::Result<Sent> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, send_all(address, script, squeeze, stop))
}

async fn send_all(address: SocketAddr, script: &Script, squeeze: f64, stop: &Stop) -> std::io::Result<Sent> {
    let service = Rc::new(Service { address, idle: RefCell::default(), sent: RefCell::default() });
    let mut rng = StdRng::seed_from_u64(0);
    let mut under_way = JoinSet::new();
    let mut second = (0, 0);
    let begun = Instant::now();
    for (at, line) in script.lines.iter().enumerate() {
        let offset = line.offset.div_f64(squeeze);
        tokio::time::sleep_until(begun + offset).await;
        if stop.is_requested() {
            break;
        }
        second = if second.0 == offset.as_secs() { (second.0, second.1 + 1) } else { (offset.as_secs(), 1) };
        {
            let mut sent = service.sent.borrow_mut();
            sent.requests += 1;
            sent.busiest_second = sent.busiest_second.max(second.1);
        }
        let request = prediction(line, &script.clients[line.client], address, &mut rng);
        under_way.spawn_local(Rc::clone(&service).predict(request));
        if at % PROBE_EVERY == 0 {
            under_way.spawn_local(Rc::clone(&service).probe());
        }
        // Finished tasks are let go as they end; what they did is in the counters.
        while under_way.try_join_next().is_some() {}
    }
    while under_way.join_next().await.is_some() {}
    let sent = *service.sent.borrow();
    Ok(sent)
}

fn prediction(line: &Line, client: &Client, address: SocketAddr, rng: &mut StdRng) -> Request<Full<Bytes>> {
    let body = serde_json::json!({"text": line.text, "explain": false}).to_string();
    Request::post("/predict")
        .header(HOST, address.to_string())
        .header(USER_AGENT, client.user_agent)
        .header(CONTENT_TYPE, "application/json")
        .header(AUTHORIZATION, &client.credentials.authorization)
        .header("x-api-key", &client.credentials.api_key)
        .header(COOKIE, &client.credentials.cookie)
        .header("x-correlation-id", person::base64_url(rng, 36))
        .body(Full::new(body.into()))
        .expect("every header of the script is visible ASCII")
}

// === impl Service ===

impl Service {
    async fn predict(self: Rc<Self>, request: Request<Full<Bytes>>) {
        if self.exchange(request).await.is_none_or(|status| status != StatusCode::OK) {
            self.sent.borrow_mut().failed += 1;
        }
    }

    /// Sends on an idle connection, or on a new one, and keeps it. `None` when the connection failed.
    async fn exchange(&self, request: Request<Full<Bytes>>) -> Option<StatusCode> {
        let idle = self.idle.borrow_mut().pop();
        let mut sender = match idle {
            Some(sender) => sender,
            None => {
                self.sent.borrow_mut().connections += 1;
                self.connect().await?
            }
        };
        let response = sender.send_request(request).await.ok()?;
        let status = response.status();
        response.into_body().collect().await.ok()?;
        if sender.ready().await.is_ok() {
            self.idle.borrow_mut().push(sender);
        }
        Some(status)
    }

    /// A probe comes on its own connection, as a kubelet's does.
    async fn probe(self: Rc<Self>) {
        self.sent.borrow_mut().probes += 1;
        let request = Request::get("/health")
            .header(HOST, self.address.to_string())
            .header(USER_AGENT, "kube-probe/1.31")
            .header(CONNECTION, "close")
            .body(Full::default())
            .expect("constant headers are valid");
        if let Some(mut sender) = self.connect().await
            && let Ok(response) = sender.send_request(request).await
        {
            // Whether a probe's answer is read to its end matters to nobody.
            response.into_body().collect().await.ok();
        }
    }

    async fn connect(&self) -> Option<Sender> {
        let stream = tokio::time::timeout(Duration::from_secs(5), TcpStream::connect(self.address))
            .await
            .ok()?
            .ok()?;
        stream.set_nodelay(true).ok()?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        // Its error comes out of `send_request` too, where it is counted.
        tokio::task::spawn_local(async move { connection.await.ok() });
        Some(sender)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use hyper::Response;
    use hyper::body::Incoming;
    use hyper::server::conn::http1 as server;
    use hyper::service::service_fn;
    use tokio::net::TcpListener;

    use super::*;
    use crate::demo::person::Credentials;

    /// A request as the service saw it.
    #[derive(Debug)]
    struct Seen {
        path: String,
        authorized: bool,
        text: Option<String>,
    }

    /// Serves until the test ends; refuses texts that say so.
    fn service() -> (SocketAddr, mpsc::Receiver<Seen>) {
        let (seen, requests) = mpsc::channel();
        let (ready, address) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    let seen = seen.clone();
                    let answer = service_fn(move |request| answer(request, seen.clone()));
                    tokio::spawn(server::Builder::new().serve_connection(TokioIo::new(stream), answer));
                }
            });
        });
        (address.recv().unwrap(), requests)
    }

    async fn answer(
        request: Request<Incoming>,
        seen: mpsc::Sender<Seen>,
    ) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let path = request.uri().path().to_owned();
        let authorized = request.headers().contains_key(AUTHORIZATION);
        let body = request.into_body().collect().await?.to_bytes();
        let text = serde_json::from_slice::<serde_json::Value>(&body)
            .ok()
            .and_then(|body| body["text"].as_str().map(str::to_owned));
        let status = if text.as_deref() == Some("refuse") { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        // The receiver is gone when a test has seen enough.
        seen.send(Seen { path, authorized, text }).ok();
        let mut response = Response::new(Full::from("{}"));
        *response.status_mut() = status;
        Ok(response)
    }

    fn script(texts: &[&str]) -> Script {
        let mut rng = StdRng::seed_from_u64(1);
        let client = Client { credentials: Credentials::draw(&mut rng), user_agent: "test" };
        let line = |(at, text): (usize, &&str)| Line {
            offset: Duration::from_millis(10 * at as u64),
            text: (*text).to_owned(),
            personal: false,
            client: 0,
        };
        Script { lines: texts.iter().enumerate().map(line).collect(), clients: vec![client] }
    }

    #[test]
    fn every_line_is_sent_once_with_its_credentials_and_failures_are_counted() {
        let (address, requests) = service();
        let sent = send(address, &script(&["one", "refuse", "three"]), 1.0, &Stop::new()).unwrap();
        assert_eq!((sent.requests, sent.failed, sent.probes, sent.busiest_second), (3, 1, 1, 3));
        let seen: Vec<Seen> = requests.try_iter().collect();
        let mut texts: Vec<&str> = seen.iter().filter_map(|request| request.text.as_deref()).collect();
        texts.sort_unstable();
        assert_eq!(texts, ["one", "refuse", "three"]);
        for request in &seen {
            let prediction = request.path == "/predict";
            assert_eq!((request.authorized, request.text.is_some()), (prediction, prediction), "{request:?}");
        }
        assert_eq!(seen.iter().filter(|request| request.path == "/health").count(), 1);
    }

    #[test]
    fn a_service_that_is_not_there_fails_every_request_and_not_the_demo() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let sent = send(closed, &script(&["one", "two"]), 1.0, &Stop::new()).unwrap();
        assert_eq!((sent.requests, sent.failed), (2, 2));
    }

    #[test]
    fn stopping_ends_the_traffic_before_the_next_line() {
        let stop = Stop::new();
        stop.request();
        let (address, _requests) = service();
        assert_eq!(send(address, &script(&["one"]), 1.0, &stop).unwrap(), Sent::default());
    }
}
