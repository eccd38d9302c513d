//! What the command line means, checked before any socket opens.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use understudy_captures::{CaptureKey, Key, Policy};
use understudy_store::Shelf;

use crate::args::Args;
use crate::failure::Failure;
use crate::filter::Rules;
use crate::flight::FlightPlan;
use crate::lifecycle::Farewell;
use crate::reload::Sources;
use crate::thrift::Limits;

pub use crate::filter::PathPattern;

/// Everything that a sidecar needs to know; every value was checked.
pub struct Config {
    /// Address that clients connect to.
    pub listen: SocketAddr,
    /// The service.
    pub upstream: SocketAddr,
    /// Address of metrics, health and the recording switch.
    pub admin: SocketAddr,
    /// Threads that move traffic, at least 1.
    pub threads: usize,
    /// How long each part of the end may take.
    pub farewell: Farewell,
    /// Whether recording is on at the start.
    pub record: bool,
    /// Which exchanges are recorded.
    pub rules: Rules,
    /// Where they and the policy came from, to be read again.
    pub sources: Sources,
    /// Largest body to record, in bytes, of request and response each.
    pub max_body: usize,
    /// What the flight recorder keeps, when it is on.
    pub flight: Option<FlightPlan>,
    /// Where closed segments are shipped.
    pub ship: Option<Shelf>,
    /// Whether metrics are exported under the names of existing alerts, too.
    pub compat_metrics: bool,
    /// What recording may use.
    pub limits: Limits,
    /// What waits for the recorder.
    pub queue: QueueLimits,
    /// Where and how the recorder writes.
    pub store: Store,
    /// What may stay, what is replaced.
    pub policy: Policy,
    /// Secret of the replacements.
    pub key: Key,
    /// Encrypts the segments.
    pub capture_key: Option<CaptureKey>,
}

/// What data threads decide about: the part of the rules that costs them nothing.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Share of connections, (0, 1].
    pub sample: f64,
    /// Paths left out.
    pub exclude: Vec<PathPattern>,
    /// Largest body in bytes, of request and response each.
    pub max_body: usize,
}

/// Bounds of what waits between the data threads and the recorder.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Batches.
    pub batches: usize,
    /// Bytes of exchanges, half of them under way and half waiting.
    pub bytes: usize,
}

/// Where and how segments are written.
#[derive(Clone, Debug)]
pub struct Store {
    /// Directory of the segments.
    pub dir: PathBuf,
    /// Longest time that an exchange stays unwritten.
    pub flush_interval: Duration,
    /// Size at which a new segment is begun.
    pub segment_bytes: u64,
    /// Age at which a new segment is begun.
    pub segment_age: Duration,
    /// Pod name for the segment header.
    pub pod: Option<String>,
    /// Node name for the segment header.
    pub node: Option<String>,
}

/// Environment variable that may hold the key itself.
const KEY_VARIABLE: &str = "UNDERSTUDY_KEY";

/// Size of a segment,
const LARGE_SEGMENT: u64 = 64 << 20;
/// and of one that is shipped.
const SHIPPED_SEGMENT: u64 = 8 << 20;
/// What may wait for a store that is gone.
const SHIPPING_DISK: u64 = 1 << 30;

/// What an idle sidecar takes, about.
const OWN_MEMORY: u64 = 16 << 20;

/// Smallest buffer with which a batch and some exchanges under way still fit.
const SMALLEST_BUFFER: u64 = 1 << 20;

/// Least time for writing what waits at the end.
const SMALLEST_FLUSH: Duration = Duration::from_secs(1);

// === impl Config ===

impl Config {
    /// Checks the arguments, reads policy and key, resolves the service's name. Opens no socket.
    pub fn from_args(args: Args) -> Result<Config, Failure> {
        let usage = |text: String| Err(Failure::Usage(text));
        if args.threads == 0 || args.threads > 256 {
            return usage(format!("--threads {} is not between 1 and 256", args.threads));
        }
        if args.queue == 0 || args.queue > 65_536 {
            return usage(format!("--queue {} is not between 1 and 65536", args.queue));
        }
        if args.buffer < SMALLEST_BUFFER {
            return usage(format!("--buffer {} is below 1MiB, too little for any traffic", args.buffer));
        }
        if args.memory_limit.is_some_and(|limit| limit < args.buffer + OWN_MEMORY) {
            return usage(format!(
                "--memory-limit is below --buffer {} and the {OWN_MEMORY} bytes that the sidecar itself takes: nothing \
                 would be recorded; raise it, or lower --buffer",
                args.buffer
            ));
        }
        if !(args.recorder_cpu > 0.0 && args.recorder_cpu <= 1.0) {
            return usage(format!(
                "--recorder-cpu {} is not a share of one core in (0, 1]",
                args.recorder_cpu
            ));
        }
        if args.flush_interval.is_zero() || args.segment_age.is_zero() || args.segment_bytes == Some(0) {
            return usage("--flush-interval, --segment-age and --segment-bytes must not be 0".to_owned());
        }
        let sources = Sources {
            flags: args.what,
            rules_file: args.rules,
            policy_file: args.policy,
            compat_metrics: args.compat_metrics,
        };
        let rules = sources.flags.checked(sources.rules_file.as_deref())?;
        let upstream = resolve(&args.upstream)?;
        for (flag, address) in [("--listen", args.listen), ("--admin", args.admin)] {
            if address.port() != 0 && same_socket(address, upstream) {
                return usage(format!(
                    "--upstream {upstream} is the sidecar's own {flag} {address}; name the service's address"
                ));
            }
        }
        if args.listen.port() != 0 && same_socket(args.listen, args.admin) {
            return usage(format!("--listen and --admin are both {}; give them two ports", args.listen));
        }
        if args.compat_metrics {
            rules.show_all().map_err(Failure::Usage)?;
        }
        let farewell = Farewell { linger: args.linger, drain: args.drain, budget: args.shutdown_budget };
        if farewell.linger + farewell.drain + SMALLEST_FLUSH > farewell.budget {
            return usage(format!(
                "--linger {:?} and --drain {:?} leave less than {SMALLEST_FLUSH:?} of --shutdown-budget {:?} for \
                 writing what waits; raise the budget, and keep the pod's grace period above it",
                farewell.linger, farewell.drain, farewell.budget
            ));
        }
        let flight = args.flight.checked()?;
        // A ring of few long segments would keep far more than was asked for, or far less.
        let shortest_age = flight.as_ref().map(|plan| plan.span / 4);
        let segment_age = shortest_age.map_or(args.segment_age, |age| age.min(args.segment_age));
        let ship = match &args.ship {
            None => None,
            Some(url) => Some(Shelf::new(url).map_err(|error| Failure::Usage(format!("--ship: {error}")))?),
        };
        let disk = args.disk_limit.or(ship.is_some().then_some(SHIPPING_DISK));
        // A segment is held in memory while it is put.
        let usual = if ship.is_some() { SHIPPED_SEGMENT } else { LARGE_SEGMENT };
        let segment_bytes = args.segment_bytes.unwrap_or(usual);
        let segment_bytes =
            flight.as_ref().map_or(segment_bytes, |plan| segment_bytes.min(plan.bytes / 8 + 1));
        let policy = policy(sources.policy_file.as_deref())?;
        Ok(Config {
            listen: args.listen,
            upstream,
            admin: args.admin,
            threads: args.threads,
            farewell,
            record: !args.no_record,
            rules,
            sources,
            max_body: clamp(args.max_body),
            flight,
            ship,
            compat_metrics: args.compat_metrics,
            limits: Limits { memory: args.memory_limit, disk, recorder_cpu: args.recorder_cpu },
            queue: QueueLimits { batches: args.queue, bytes: clamp(args.buffer) },
            store: Store {
                dir: args.captures,
                flush_interval: args.flush_interval,
                segment_bytes,
                segment_age,
                pod: args.pod,
                node: args.node,
            },
            policy,
            key: key(args.key_file)?,
            capture_key: capture_key(args.capture_key_file)?,
        })
    }
}

/// The policy in `file`, or the built-in one.
///
/// # Errors
///
/// The file cannot be read, or is no policy.
pub(crate) fn policy(file: Option<&Path>) -> Result<Policy, Failure> {
    let Some(path) = file else { return Ok(Policy::builtin()) };
    readable(path, "--policy")?;
    Policy::from_file(path).map_err(|error| Failure::Usage(error.to_string()))
}

fn clamp(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn readable(path: &Path, flag: &str) -> Result<(), Failure> {
    std::fs::File::open(path)
        .map(drop)
        .map_err(|error| Failure::Input(format!("cannot read {flag} {}: {error}", path.display())))
}

fn resolve(upstream: &str) -> Result<SocketAddr, Failure> {
    if !upstream.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    {
        return Err(Failure::Usage(format!(
            "--upstream {upstream} is not HOST:PORT, such as 127.0.0.1:8080"
        )));
    }
    let addresses: Vec<SocketAddr> = upstream
        .to_socket_addrs()
        .map_err(|error| Failure::Unavailable(format!("cannot resolve --upstream {upstream}: {error}")))?
        .collect();
    // `localhost` often resolves to ::1 first, where services that bind 127.0.0.1 do not listen.
    let preferred = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    preferred
        .copied()
        .ok_or_else(|| Failure::Unavailable(format!("--upstream {upstream} resolves to no address")))
}

/// Whether a connection to `target` could arrive at a listener on `bound`.
fn same_socket(bound: SocketAddr, target: SocketAddr) -> bool {
    bound.port() == target.port()
        && (bound.ip() == target.ip()
            || (bound.ip().is_unspecified() && target.ip().is_loopback())
            || (target.ip().is_unspecified() && bound.ip().is_loopback()))
}

fn key(file: Option<PathBuf>) -> Result<Key, Failure> {
    let path = match file {
        Some(path) => path,
        None if std::env::var_os(KEY_VARIABLE).is_some() => {
            return Key::from_env(KEY_VARIABLE).map_err(|error| Failure::Data(error.to_string()));
        }
        None => {
            tracing::info!(
                "no --key-file and no {KEY_VARIABLE}: replacements use a random key that ends with this process"
            );
            return Ok(Key::random());
        }
    };
    readable(&path, "--key-file")?;
    Key::from_file(&path).map_err(|error| Failure::Data(error.to_string()))
}

fn capture_key(file: Option<PathBuf>) -> Result<Option<CaptureKey>, Failure> {
    if let Some(path) = &file {
        readable(path, "--capture-key-file")?;
    }
    CaptureKey::find(file.as_deref()).map_err(|error| Failure::Data(error.to_string()))
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("upstream", &self.upstream)
            .field("admin", &self.admin)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
