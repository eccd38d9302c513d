//! Plans for tests.

use std::net::SocketAddr;
use std::time::Duration;

use understudy_captures::CaptureKeys;

use super::{Candidate, FidelityBounds, Gates, Pace, Plan, Safety, Target};
use crate::answers::Preset;

/// A plan for candidates `a`, `b`, ... at these addresses: recorded speed, one iteration, one thread, no warm-up. Its
/// captures and output directory are to be filled in.
pub(crate) fn plan(addresses: &[SocketAddr]) -> Plan {
    let candidates = addresses
        .iter()
        .zip('a'..)
        .map(|(address, name)| Candidate {
            name: name.to_string(),
            target: Target { host: address.ip().to_string(), port: address.port(), prefix: String::new() },
        })
        .collect();
    Plan {
        captures: Vec::new(),
        capture_keys: CaptureKeys::none(),
        candidates,
        baseline: 0,
        twin: None,
        pace: Pace::Speed(1.0),
        window: None,
        warmup: Duration::ZERO,
        iterations: 1,
        block: Duration::from_secs(10),
        timeout: Duration::from_secs(10),
        max_connections: 64,
        threads: 1,
        seed: 1,
        preset: Preset::named("kubesentiment").unwrap(),
        safety: Safety { allow_unsafe: false, allowed: Vec::new() },
        headers: Vec::new(),
        gates: Gates::default(),
        fidelity: FidelityBounds::default(),
        metrics: None,
        out: std::path::PathBuf::new(),
    }
}

/// An address for plans that connect nowhere.
pub(crate) fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}
