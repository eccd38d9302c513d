//! The command line as it was typed; [`Config`](crate::config::Config) is what it means.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::filter::RuleFlags;
use crate::flight::FlightFlags;

const AFTER_HELP: &str = "\
Bytes go on as they come; what passes is followed by a passive tap, sanitized on another thread and
written to CAPTURES as *.ucap segments. Recording never delays, changes or fails traffic: what cannot
be recorded is dropped for a named, counted reason (see /metrics on the admin address).

Signals:
  SIGTERM, SIGINT  stop accepting, let exchanges under way finish (up to --drain), write the footer, exit 0
  SIGUSR1          freeze the flight recorder
  SIGHUP           read --policy and --rules again; when they are wrong the old ones stay

Admin address:
  GET  /metrics /healthz /readyz /recording
  GET  /flight-recorder
  POST /recording/on /recording/off /reload /flight-recorder/freeze?name=NAME

Exit codes:
  0 drained and flushed
  64 usage: arguments or policy are wrong    65 the key file is not what it should be
  66 the policy or key file cannot be read   69 a port is taken, a name does not resolve
  70 a bug of ours                           73 the captures directory cannot be written";

/// Records inference traffic beside the service: a transparent relay whose passive tap writes sanitized captures.
#[derive(Clone, Debug, Parser)]
#[command(name = "understudy-proxy", version, about, after_help = AFTER_HELP)]
pub struct Args {
    /// Address that clients connect to
    #[arg(long, value_name = "ADDR", env = "UNDERSTUDY_LISTEN", default_value = "0.0.0.0:8081")]
    pub listen: SocketAddr,
    /// The service, HOST:PORT; a name is resolved once, at the start
    #[arg(long, value_name = "HOST:PORT", env = "UNDERSTUDY_UPSTREAM")]
    pub upstream: String,
    /// Address of metrics, health and the recording switch; keep it away from clients
    #[arg(long, value_name = "ADDR", env = "UNDERSTUDY_ADMIN", default_value = "127.0.0.1:9911")]
    pub admin: SocketAddr,
    /// Threads that move traffic
    #[arg(long, value_name = "N", env = "UNDERSTUDY_THREADS", default_value_t = 1)]
    pub threads: usize,
    /// How long connections are still accepted after SIGTERM, /readyz saying 503, while endpoints forget this pod. Not
    /// needed for a native sidecar, which is told after the service has ended
    #[arg(long, value_name = "TIME", env = "UNDERSTUDY_LINGER", default_value = "0s", value_parser = duration)]
    pub linger: Duration,
    /// How long exchanges under way may take to finish after that
    #[arg(long, value_name = "TIME", env = "UNDERSTUDY_DRAIN", default_value = "5s", value_parser = duration)]
    pub drain: Duration,
    /// Most time from SIGTERM to the exit, with writing what waits; keep it below the pod's grace period
    #[arg(long, value_name = "TIME", env = "UNDERSTUDY_SHUTDOWN_BUDGET", default_value = "20s", value_parser = duration)]
    pub shutdown_budget: Duration,

    /// Form of the log on standard error
    #[arg(long, value_name = "FORM", env = "UNDERSTUDY_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// Directory of the segments; created when missing
    #[arg(long, value_name = "DIR", env = "UNDERSTUDY_CAPTURES", help_heading = "Recording")]
    pub captures: PathBuf,
    /// Sanitizing policy (YAML); without it the built-in one, which is safe for an unknown service
    #[arg(long, value_name = "FILE", env = "UNDERSTUDY_POLICY", help_heading = "Recording")]
    pub policy: Option<PathBuf>,
    /// Key of the replacements: at least 32 bytes, or 64 hex digits. Without it (nor a key in UNDERSTUDY_KEY) a
    /// random one, so that replacements cannot be linked across recorders
    #[arg(long, value_name = "FILE", env = "UNDERSTUDY_KEY_FILE", help_heading = "Recording")]
    pub key_file: Option<PathBuf>,
    /// Encrypt the segments with this key: at least 32 bytes, or 64 hex digits. Without it (nor a key in
    /// UNDERSTUDY_CAPTURE_KEY) they are not encrypted
    #[arg(long, value_name = "FILE", env = "UNDERSTUDY_CAPTURE_KEY_FILE", help_heading = "Recording")]
    pub capture_key_file: Option<PathBuf>,
    /// Ship closed segments there and delete them here once they are safe: s3://BUCKET/PREFIX/, gs://, az://, or a
    /// directory. With --flight-recorder, frozen captures. Credentials come from the environment
    #[arg(long, value_name = "URL", env = "UNDERSTUDY_SHIP", help_heading = "Recording")]
    pub ship: Option<PathBuf>,
    /// Start with recording off; POST /recording/on turns it on
    #[arg(long, env = "UNDERSTUDY_NO_RECORD", help_heading = "Recording")]
    pub no_record: bool,

    /// What to record.
    #[command(flatten)]
    pub what: RuleFlags,
    /// YAML file with the names above (sample, include, ...) as keys; read again by a reload
    #[arg(long, value_name = "FILE", env = "UNDERSTUDY_RULES", help_heading = "What to record")]
    pub rules: Option<PathBuf>,

    /// Flight recorder.
    #[command(flatten)]
    pub flight: FlightFlags,

    /// Export metrics also under the names that alerts of the sentiment service ask for (http_requests_total,
    /// mlops_prediction_confidence, ...); they count what reaches the recorder
    #[arg(long, env = "UNDERSTUDY_COMPAT_METRICS", help_heading = "Recording")]
    pub compat_metrics: bool,

    /// Largest request or response body to record; larger ones are counted `over_limit`
    #[arg(long, value_name = "BYTES", env = "UNDERSTUDY_MAX_BODY", default_value = "1MiB", value_parser = size, help_heading = "Limits")]
    pub max_body: u64,
    /// Batches that may wait for the recorder; beyond it exchanges are counted `queue_full`
    #[arg(long, value_name = "N", env = "UNDERSTUDY_QUEUE", default_value_t = 256, help_heading = "Limits")]
    pub queue: usize,
    /// Memory of the process; beyond it requests go by unrecorded, counted `queue_full`. No limit unless given
    #[arg(long, value_name = "BYTES", env = "UNDERSTUDY_MEMORY_LIMIT", value_parser = size, help_heading = "Limits")]
    pub memory_limit: Option<u64>,
    /// Bytes of all files in CAPTURES; beyond it requests go by unrecorded, counted `io_error`. No limit unless given;
    /// 1GiB with --ship
    #[arg(long, value_name = "BYTES", env = "UNDERSTUDY_DISK_LIMIT", value_parser = size, help_heading = "Limits")]
    pub disk_limit: Option<u64>,
    /// Share of one core for the recorder's thread, (0, 1]; beyond it exchanges are counted `queue_full`
    #[arg(
        long,
        value_name = "F",
        env = "UNDERSTUDY_RECORDER_CPU",
        default_value_t = 1.0,
        help_heading = "Limits"
    )]
    pub recorder_cpu: f64,
    /// Memory for exchanges under way and waiting; beyond it they are counted `queue_full`
    #[arg(long, value_name = "BYTES", env = "UNDERSTUDY_BUFFER", default_value = "16MiB", value_parser = size, help_heading = "Limits")]
    pub buffer: u64,
    /// Longest time that an exchange stays unwritten
    #[arg(long, value_name = "TIME", env = "UNDERSTUDY_FLUSH_INTERVAL", default_value = "1s", value_parser = duration, help_heading = "Limits")]
    pub flush_interval: Duration,
    /// Size at which a new segment is begun; 64MiB, or 8MiB with --ship
    #[arg(long, value_name = "BYTES", env = "UNDERSTUDY_SEGMENT_BYTES", value_parser = size, help_heading = "Limits")]
    pub segment_bytes: Option<u64>,
    /// Age at which a new segment is begun
    #[arg(long, value_name = "TIME", env = "UNDERSTUDY_SEGMENT_AGE", default_value = "5m", value_parser = duration, help_heading = "Limits")]
    pub segment_age: Duration,

    /// Pod name for the segment header
    #[arg(long, value_name = "NAME", env = "POD_NAME", help_heading = "Identity")]
    pub pod: Option<String>,
    /// Node name for the segment header
    #[arg(long, value_name = "NAME", env = "NODE_NAME", help_heading = "Identity")]
    pub node: Option<String>,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

// === impl values ===

/// Parses `250ms`, `1.5s`, `5m`, `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let refused = || format!("`{text}` is not a time such as 250ms, 1.5s, 5m or 1h");
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(refused)?;
    let (number, unit) = text.split_at(unit_at);
    let number: f64 = number.trim().parse().map_err(|_| refused())?;
    let seconds = match unit {
        "ms" => number / 1e3,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(refused()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| refused())
}

/// Parses `65536`, `64KiB`, `1MiB`, `2GiB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let refused = || format!("`{text}` is not a size such as 65536, 64KiB or 1MiB");
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.trim().parse().map_err(|_| refused())?;
    let factor = match unit {
        "" | "B" => 1,
        "KiB" | "Ki" => 1 << 10,
        "MiB" | "Mi" => 1 << 20,
        "GiB" | "Gi" => 1 << 30,
        _ => return Err(refused()),
    };
    number.checked_mul(factor).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_with_their_units_and_nothing_else() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        for wrong in ["5", "s", "-1s", "5 weeks", "1e400s", ""] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(size("65536"), Ok(65536));
        assert_eq!(size("64Ki"), Ok(65536));
        assert_eq!(size("1MiB"), Ok(1 << 20));
        for wrong in ["", "-1", "1MB", "1.5MiB", "99999999999GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
