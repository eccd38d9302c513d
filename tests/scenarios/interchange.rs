//! Captures from and to other tools' files, and those tools with them.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;
use understudy_tests::peers::{Nginx, wrk};
use understudy_tests::programs::{understudy, understudy_json};

const MONKEYS: &str = "\n🐵🙈🙉\n";
const REQUESTS: u64 = 600;

/// Requests as GoReplay writes them, each with its response.
fn gor() -> String {
    (0..REQUESTS)
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

#[test]
fn traffic_of_goreplay_goes_on_as_har_and_as_load_of_wrk() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let at = |name| path(dir.path(), name);
    std::fs::write(at("all.gor"), gor())?;

    let imported = understudy_json(&["capture", "import", &at("all.gor"), "--out", &at("first"), "--json"])?;
    assert_eq!((imported["read"].as_u64(), imported["written"].as_u64()), (Some(REQUESTS), Some(REQUESTS)));
    let exported = understudy_json(&["capture", "export", &at("first"), "--out", &at("all.har"), "--json"])?;
    assert_eq!(exported["written"].as_u64(), Some(REQUESTS));
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
