//! The command line as it was typed; [`Config`](crate::config::Config) is what it means.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Paths that are probes, not traffic: their requests are counted `excluded` and never recorded.
pub const PROBE_PATHS: [&str; 14] = [
    "/health",
    "/healthz",
    "/livez",
    "/readyz",
    "/ready",
    "/metrics",
    "/ping",
    "/api/v1/health",
    "/api/v1/healthz",
    "/api/v1/livez",
    "/api/v1/readyz",
    "/api/v1/ready",
    "/api/v1/metrics",
    "/api/v1/ping",
];

const AFTER_HELP: &str = "\
Bytes go on as they come; what passes is followed by a passive tap, sanitized on another thread and
written to CAPTURES as *.ucap segments. Recording never delays, changes or fails traffic: what cannot
be recorded is dropped for a named, counted reason (see /metrics on the admin address).

Signals:
  SIGTERM, SIGINT  stop accepting, let exchanges under way finish (up to --drain), write the footer, exit 0

Admin address:
  GET  /metrics /healthz /readyz /recording
  POST /recording/on /recording/off

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
    /// How long exchanges under way may take to finish after SIGTERM; stay below the pod's grace period
    #[arg(long, value_name = "TIME", env = "UNDERSTUDY_DRAIN", default_value = "5s", value_parser = duration)]
    pub drain: Duration,

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
    /// Share of connections to record, (0, 1]; the others are counted `sampled_out`
    #[arg(
        long,
        value_name = "F",
        env = "UNDERSTUDY_SAMPLE",
        default_value_t = 1.0,
        help_heading = "Recording"
    )]
    pub sample: f64,
    /// Request path to leave out, counted `excluded`; a trailing * matches any rest. Repeat it; replaces the default
    /// (the usual probe paths, also below /api/v1)
    #[arg(
        long = "exclude-path",
        value_name = "PATH",
        env = "UNDERSTUDY_EXCLUDE_PATH",
        value_delimiter = ',',
        default_values = PROBE_PATHS,
        hide_default_value = true,
        help_heading = "Recording"
    )]
    pub exclude_paths: Vec<String>,
    /// Start with recording off; POST /recording/on turns it on
    #[arg(long, env = "UNDERSTUDY_NO_RECORD", help_heading = "Recording")]
    pub no_record: bool,

    /// Largest request or response body to record; larger ones are counted `over_limit`
    #[arg(long, value_name = "BYTES", env = "UNDERSTUDY_MAX_BODY", default_value = "1MiB", value_parser = size, help_heading = "Limits")]
    pub max_body: u64,
    /// Batches that may wait for the recorder; beyond it exchanges are counted `queue_full`
    #[arg(long, value_name = "N", env = "UNDERSTUDY_QUEUE", default_value_t = 256, help_heading = "Limits")]
    pub queue: usize,
    /// Memory for exchanges under way and waiting; beyond it they are counted `queue_full`
    #[arg(long, value_name = "BYTES", env = "UNDERSTUDY_BUFFER", default_value = "16MiB", value_parser = size, help_heading = "Limits")]
    pub buffer: u64,
    /// Longest time that an exchange stays unwritten
    #[arg(long, value_name = "TIME", env = "UNDERSTUDY_FLUSH_INTERVAL", default_value = "1s", value_parser = duration, help_heading = "Limits")]
    pub flush_interval: Duration,
    /// Size at which a new segment is begun
    #[arg(long, value_name = "BYTES", env = "UNDERSTUDY_SEGMENT_BYTES", default_value = "64MiB", value_parser = size, help_heading = "Limits")]
    pub segment_bytes: u64,
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

    #[test]
    fn probe_paths_are_excluded_unless_the_user_names_others() {
        let base = ["understudy-proxy", "--upstream", "127.0.0.1:1", "--captures", "x"];
        let args = Args::try_parse_from(base).unwrap();
        assert_eq!(args.exclude_paths, PROBE_PATHS);
        let args = Args::try_parse_from(base.into_iter().chain(["--exclude-path", "/a,/b*"])).unwrap();
        assert_eq!(args.exclude_paths, ["/a", "/b*"]);
    }
}
