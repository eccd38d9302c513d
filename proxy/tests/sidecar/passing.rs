//! What passes is recorded, and passes whatever becomes of the recording.

use std::io::Write;
use std::net::TcpStream;

use understudy_captures::Ending;

use crate::scene::{
    InProcess, Service, admin, ask, connect, eventually, metric, post, read_back, read_message,
};

#[test]
fn what_passed_is_in_the_capture_exchange_by_exchange() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let sidecar = InProcess::start(service.address, dir.path(), &["--threads", "2"]);
    let mut clients: Vec<TcpStream> = (0..4).map(|_| connect(sidecar.traffic)).collect();
    for round in 0..50 {
        for client in &mut clients {
            let answer = ask(client, "/predict", &format!("{{\"text\":\"good film\",\"n\":{round}}}"));
            assert_eq!(answer, b"{\"label\":\"POSITIVE\"}");
        }
    }
    assert_eq!(ask(&mut clients[0], "/health", ""), b"{\"label\":\"POSITIVE\"}");
    drop(clients);
    let summary = sidecar.stop();
    assert_eq!((summary.conservation.seen, summary.conservation.recorded), (201, 200));
    assert_eq!(summary.conservation.excluded, 1);

    let (capture, exchanges) = read_back(dir.path());
    let stats = capture.stats();
    assert_eq!(stats.conservation, summary.conservation, "the footer says what the metrics said");
    assert_eq!(exchanges.len(), 200);
    let mut connections: Vec<(u64, u32)> = exchanges.iter().map(|e| (e.connection, e.index)).collect();
    connections.sort_unstable();
    let wanted: Vec<(u64, u32)> = connections
        .iter()
        .map(|c| c.0)
        .step_by(50)
        .flat_map(|c| (0..50).map(move |index| (c, index)))
        .collect();
    assert_eq!(connections, wanted, "each connection's exchanges, none missing");
    for exchange in &exchanges {
        assert_eq!(exchange.ending, Ending::Complete);
        assert_eq!(exchange.request.target, "/predict");
        let response = exchange.response.as_ref().unwrap();
        assert_eq!((response.status, response.body.original_len), (200, 20));
        let timing = exchange.timing;
        assert!(timing.request_end <= timing.response_start && timing.response_start <= Some(timing.end));
    }
}

#[test]
fn a_tiny_queue_costs_exchanges_and_never_answers() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    // One batch may wait, and half a mebibyte of exchanges may be under way.
    let sidecar = InProcess::start(service.address, dir.path(), &["--queue", "1", "--buffer", "1MiB"]);
    let mut client = connect(sidecar.traffic);
    let larger_than_the_room = "a fine word ".repeat(60_000);
    assert_eq!(ask(&mut client, "/predict", &larger_than_the_room), b"{\"label\":\"POSITIVE\"}");
    let body = format!("{{\"text\":\"{}\"}}", "a fine word ".repeat(2000));
    const REQUESTS: usize = 400;
    let mut writer = client.try_clone().unwrap();
    let request = post("/predict", &body);
    let writing = std::thread::spawn(move || {
        for _ in 0..REQUESTS {
            writer.write_all(request.as_bytes()).unwrap();
        }
    });
    for _ in 0..REQUESTS {
        assert_eq!(
            read_message(&mut client).expect("every request is answered").1,
            b"{\"label\":\"POSITIVE\"}"
        );
    }
    writing.join().unwrap();
    drop(client);
    let totals = sidecar.stop().conservation;
    assert!(totals.queue_full >= 1, "{totals:?}");
    assert_eq!(totals.seen, totals.recorded + totals.dropped());
}

#[test]
fn the_recording_switch_works_and_the_admin_pages_answer() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let sidecar = InProcess::start(service.address, dir.path(), &["--no-record"]);
    let mut client = connect(sidecar.traffic);
    ask(&mut client, "/predict", "{}");
    assert_eq!(
        admin(sidecar.admin, "GET", "/recording"),
        (200, "{\"recording\":false,\"recorder_up\":true}\n".into())
    );
    assert_eq!(admin(sidecar.admin, "POST", "/recording/on").0, 200);
    ask(&mut client, "/predict", "{}");
    assert_eq!(admin(sidecar.admin, "GET", "/recording/off").0, 405);
    assert_eq!(admin(sidecar.admin, "POST", "/recording/off").0, 200);
    ask(&mut client, "/predict", "{}");
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/nothing", 404)] {
        assert_eq!(admin(sidecar.admin, "GET", path).0, status, "{path}");
    }
    eventually("the exchange is written within the flush interval", || {
        metric(sidecar.admin, "understudy_proxy_requests_total{fate=\"recorded\"}") == 1
    });
    assert_eq!(metric(sidecar.admin, "understudy_proxy_requests_seen_total"), 3);
    assert_eq!(metric(sidecar.admin, "understudy_proxy_requests_total{fate=\"excluded\"}"), 2);
    drop(client);
    assert_eq!(sidecar.stop().conservation.recorded, 1);
}

#[test]
fn an_aborted_request_is_recorded_as_aborted() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let sidecar = InProcess::start(service.address, dir.path(), &[]);
    let mut client = connect(sidecar.traffic);
    client.write_all(post("/slow", "{}").as_bytes()).unwrap();
    eventually("the request goes by", || metric(sidecar.admin, "understudy_proxy_requests_seen_total") == 1);
    drop(client);
    service.go.send(()).unwrap();
    eventually("the connection ends", || metric(sidecar.admin, "understudy_proxy_open_connections") == 0);
    sidecar.stop();
    let (_, exchanges) = read_back(dir.path());
    assert_eq!(exchanges.len(), 1);
    // The answer met a closed client, or passed into its buffer just before.
    assert!(matches!(exchanges[0].ending, Ending::ClientAbort | Ending::Complete));
}

#[test]
fn compatibility_metrics_count_every_answer_even_of_a_sample() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--compat-metrics", "--sample", "0.01", "--sample-by", "path"];
    let sidecar = InProcess::start(service.address, dir.path(), &flags);
    let mut client = connect(sidecar.traffic);
    for n in 0..25 {
        ask(&mut client, &format!("/predict/{n}"), "{}");
    }
    eventually("all are counted", || {
        let (_, page) = admin(sidecar.admin, "GET", "/metrics");
        page.contains("http_requests_total{method=\"POST\",status=\"200\"} 25\n")
    });
    assert_eq!(metric(sidecar.admin, "http_request_duration_seconds_count"), 25);
    assert_eq!(metric(sidecar.admin, "mlops_prediction_confidence_count"), 0, "these answers have no score");
    let (_, page) = admin(sidecar.admin, "GET", "/metrics");
    assert!(!page.contains("\nmlops_model_loaded"), "nothing has said so yet");
    drop(client);
    assert!(sidecar.stop().conservation.recorded < 10);
}

#[test]
fn however_an_exchange_ends_it_is_recorded_as_its_outcome() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let sidecar = InProcess::start(service.address, dir.path(), &[]);
    for path in ["/close", "/reset", "/half"] {
        let mut client = connect(sidecar.traffic);
        client.write_all(post(path, "{}").as_bytes()).unwrap();
        // The end of the connection, or a reset, as the service gave it.
        std::io::Read::read_to_end(&mut client, &mut Vec::new()).ok();
    }
    // A client that waits a while and then gives up, as clients with a timeout do.
    let patience = std::time::Duration::from_millis(300);
    let mut client = connect(sidecar.traffic);
    client.set_read_timeout(Some(patience)).unwrap();
    client.write_all(post("/slow", "{}").as_bytes()).unwrap();
    let waited = std::io::Read::read(&mut client, &mut [0]);
    assert_eq!(waited.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    rustix::net::sockopt::set_socket_linger(&client, Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
    eventually("every connection ends", || metric(sidecar.admin, "understudy_proxy_open_connections") == 0);
    sidecar.stop();

    let (_, exchanges) = read_back(dir.path());
    let of = |path: &str| exchanges.iter().find(|e| e.request.target == path.as_bytes()).unwrap();
    assert_eq!((of("/close").ending, of("/close").response.is_none()), (Ending::UpstreamClosed, true));
    assert_eq!((of("/reset").ending, of("/reset").response.is_none()), (Ending::UpstreamReset, true));
    let half = of("/half").response.as_ref().unwrap();
    assert_eq!((of("/half").ending, half.status, half.body.truncated), (Ending::UpstreamClosed, 200, true));
    let gave_up = of("/slow");
    assert_eq!(gave_up.ending, Ending::ClientAbort);
    assert!(gave_up.timing.end >= patience.as_nanos() as u64, "it tells how long the client waited");
}
