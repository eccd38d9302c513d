//! Captures from and to other tools' files, and those tools with them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use understudy_tests::peers::{Nginx, wrk};
use understudy_tests::process::{Running, succeed};
use understudy_tests::programs::{understudy, understudy_json};

const MONKEYS: &str = "\n🐵🙈🙉\n";
const REQUESTS: u64 = 600;

/// Requests as GoReplay writes them, each with its response.
fn gor(requests: u64) -> String {
    (0..requests)
        .map(|n| {
            let asked = format!("{{\"text\":\"the film was good, number {n}\"}}");
            let answered = r#"{"label":"POSITIVE","score":0.9}"#;
            let at = 1_700_000_000_000_000_000 + n * 10_000_000;
            format!(
                "1 {n:024x} {at} 1000\nPOST /predict HTTP/1.1\r\nHost: sentiment\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{asked}{MONKEYS}\
                 2 {n:024x} {} 2000\nHTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n\
                 {answered}{MONKEYS}",
                asked.len(),
                at + 5_000_000,
                answered.len(),
            )
        })
        .collect()
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_string_lossy().into_owned()
}

/// What an exchange is, without the ids that neither format has.
fn bodies(capture: &str) -> Result<Vec<(String, Value, Value)>> {
    let printed = understudy(&["capture", "cat", "--json", capture])?.stdout;
    printed
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line)?;
            let arrival = line["arrival"].as_str().unwrap_or_default().to_owned();
            Ok((arrival, line["request"]["body"].clone(), line["response"]["body"].clone()))
        })
        .collect()
}

/// Entries of a HAR file that the schema of HAR 1.2 accepts.
fn validated(har: &str) -> Result<u64> {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/python/bin/python"));
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/validate_har.py")).arg(har);
    Ok(succeed(&mut command).context("tests/run makes target/python")?.stdout.trim().parse()?)
}

#[test]
fn traffic_of_goreplay_goes_on_as_har_and_as_load_of_wrk() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let at = |name| path(dir.path(), name);
    std::fs::write(at("all.gor"), gor(REQUESTS))?;

    let imported = understudy_json(&["capture", "import", &at("all.gor"), "--out", &at("first"), "--json"])?;
    assert_eq!((imported["read"].as_u64(), imported["written"].as_u64()), (Some(REQUESTS), Some(REQUESTS)));
    let exported = understudy_json(&["capture", "export", &at("first"), "--out", &at("all.har"), "--json"])?;
    assert_eq!(exported["written"].as_u64(), Some(REQUESTS));
    assert_eq!(validated(&at("all.har"))?, REQUESTS);
    let again = understudy_json(&["capture", "import", &at("all.har"), "--out", &at("second"), "--json"])?;
    assert_eq!(again["written"].as_u64(), Some(REQUESTS));
    assert_eq!(bodies(&at("first"))?, bodies(&at("second"))?);

    understudy_json(&["capture", "export", &at("second"), "--out", &at("load.lua"), "--json"])?;
    let nginx = Nginx::answering()?;
    let load = wrk(&format!("http://{}", nginx.listen), 1, 2, Some(Path::new(&at("load.lua"))))?;
    assert!(load.done > 0 && load.failed == 0, "{load:?}");
    let log = nginx.log()?;
    assert!(log.len() as u64 >= load.done, "nginx saw {} requests, wrk counted {}", log.len(), load.done);
    assert!(log.iter().all(|line| line.ends_with(" 200 POST /predict")), "{:?}", log.first());
    Ok(())
}

#[test]
fn what_wrk_sends_is_what_was_exported() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let at = |name| path(dir.path(), name);
    // Few, so that wrk comes round in any case.
    let few = 60;
    std::fs::write(at("all.gor"), gor(few))?;
    understudy_json(&["capture", "import", &at("all.gor"), "--out", &at("capture"), "--json"])?;
    understudy_json(&["capture", "export", &at("capture"), "--out", &at("load.lua"), "--json"])?;
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/servers/logging_target.py")).arg(at("log"));
    let mut server = Running::start(command)?;
    let ready = server.await_line("listening on ")?;
    let address = ready.rsplit(' ').next().context("an address")?;
    let load = wrk(&format!("http://{address}"), 3, 1, Some(Path::new(&at("load.lua"))))?;
    assert!(load.done > few && load.failed == 0, "{load:?}");

    let exported: BTreeSet<String> = bodies(&at("capture"))?
        .into_iter()
        .filter_map(|(_, asked, _)| Some(asked.as_str()?.to_owned()))
        .collect();
    assert_eq!(exported.len() as u64, few);
    let mut arrived = BTreeSet::new();
    for line in std::fs::read_to_string(at("log"))?.lines() {
        let request: Value = serde_json::from_str(line)?;
        assert_eq!((&request["method"], &request["target"]), (&"POST".into(), &"/predict".into()));
        assert_eq!(request["headers"]["host"], address);
        assert_eq!(request["headers"]["content-type"], "application/json");
        arrived.insert(request["body"].as_str().context("a text")?.to_owned());
    }
    assert_eq!(arrived, exported);
    Ok(())
}
