//! What to record, as it was typed: flags and a file under the same names, since both are this type.

use std::path::Path;

use serde::Deserialize;

use crate::failure::Failure;
use crate::filter::PathPattern;
use crate::filter::{Rule, Rules, SampleBy, Sampling};

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

/// What to record. The same names, without dashes before them, are the keys of the file of `--rules`.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RuleFlags {
    /// Share to record, (0, 1]; the others are counted `sampled_out`. Default 1
    #[arg(long, value_name = "F", env = "UNDERSTUDY_SAMPLE", help_heading = "What to record")]
    pub sample: Option<f64>,
    /// What one decision is made for: `connection` (default), `path`, or `header:NAME`; under one --key-file the last
    /// two decide alike in every pod
    #[arg(long, value_name = "KEY", env = "UNDERSTUDY_SAMPLE_BY", help_heading = "What to record")]
    pub sample_by: Option<String>,
    /// Record only what meets this rule, or another --include. Conditions with spaces between them, all of which must
    /// hold: method=GET,POST path=/v1/* header.NAME=VALUE status=404,5xx,none latency>250ms
    #[arg(
        long,
        value_name = "RULE",
        env = "UNDERSTUDY_INCLUDE",
        value_delimiter = ';',
        help_heading = "What to record"
    )]
    pub include: Vec<String>,
    /// Leave out what meets this rule, counted `excluded`; wins over --include
    #[arg(
        long,
        value_name = "RULE",
        env = "UNDERSTUDY_EXCLUDE",
        value_delimiter = ';',
        help_heading = "What to record"
    )]
    pub exclude: Vec<String>,
    /// Request path to leave out before anything of it is copied, counted `excluded`; * stands for any characters.
    /// Repeat it; replaces the default (the usual probe paths, also below /api/v1)
    #[arg(
        long,
        value_name = "PATH",
        env = "UNDERSTUDY_EXCLUDE_PATH",
        value_delimiter = ',',
        help_heading = "What to record"
    )]
    pub exclude_path: Option<Vec<String>>,
    /// Record probes too: neither the usual paths nor the kubelet's requests are left out
    #[arg(long, env = "UNDERSTUDY_KEEP_PROBES", help_heading = "What to record")]
    pub keep_probes: bool,
}

// === impl RuleFlags ===

impl RuleFlags {
    /// Checks flags and file together.
    ///
    /// # Errors
    ///
    /// The file cannot be read or understood, a value is not what it should be, a name is given in both places.
    pub fn checked(&self, file: Option<&Path>) -> Result<Rules, Failure> {
        let Some(path) = file else { return self.rules("--") };
        let shown = path.display();
        let yaml = std::fs::read_to_string(path)
            .map_err(|error| Failure::Input(format!("cannot read --rules {shown}: {error}")))?;
        let in_file: RuleFlags = serde_saphyr::from_str(&yaml).map_err(|error| {
            let at = error.location().map(|at| format!(":{}:{}", at.line(), at.column())).unwrap_or_default();
            let says = error.without_snippet().to_string();
            let says = says.split_whitespace().collect::<Vec<_>>().join(" ");
            Failure::Usage(format!("--rules {shown}{at}: {says}"))
        })?;
        if let Some(name) = self.names().find(|name| in_file.names().any(|other| other == *name)) {
            return Err(Failure::Usage(format!(
                "--{name} is also in --rules {shown}: give it in one place, so that it is plain which one holds"
            )));
        }
        // Each is given in one place at most, so this takes it from there.
        let both = RuleFlags {
            sample: self.sample.or(in_file.sample),
            sample_by: self.sample_by.clone().or(in_file.sample_by),
            include: [&self.include[..], &in_file.include[..]].concat(),
            exclude: [&self.exclude[..], &in_file.exclude[..]].concat(),
            exclude_path: self.exclude_path.clone().or(in_file.exclude_path),
            keep_probes: self.keep_probes || in_file.keep_probes,
        };
        both.rules(&format!("--rules {shown} or --"))
    }

    /// Names that are given.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        [
            ("sample", self.sample.is_some()),
            ("sample-by", self.sample_by.is_some()),
            ("include", !self.include.is_empty()),
            ("exclude", !self.exclude.is_empty()),
            ("exclude-path", self.exclude_path.is_some()),
            ("keep-probes", self.keep_probes),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
    }

    fn rules(&self, place: &str) -> Result<Rules, Failure> {
        let refused = |name: &str, says: String| Failure::Usage(format!("{place}{name}: {says}"));
        let share = self.sample.unwrap_or(1.0);
        if !(share > 0.0 && share <= 1.0) {
            let says = format!("{share} is not a share in (0, 1]; to record nothing use --no-record");
            return Err(refused("sample", says));
        }
        let by = match self.sample_by.as_deref().unwrap_or("connection") {
            "connection" => SampleBy::Connection,
            "path" => SampleBy::Path,
            other => match other.strip_prefix("header:") {
                Some(name) if !name.is_empty() => SampleBy::Header(name.to_owned()),
                _ => {
                    let says = format!("`{other}` is neither connection nor path nor header:NAME");
                    return Err(refused("sample-by", says));
                }
            },
        };
        let read = |name: &str, rules: &[String]| {
            let parse = |text: &String| Rule::parse(text).map_err(|says| refused(name, says));
            rules.iter().map(parse).collect::<Result<Vec<Rule>, Failure>>()
        };
        let exclude_paths = match &self.exclude_path {
            Some(paths) => paths.clone(),
            None if self.keep_probes => Vec::new(),
            None => PROBE_PATHS.map(str::to_owned).to_vec(),
        };
        if let Some(wrong) = exclude_paths.iter().find(|path| !path.starts_with(['/', '*'])) {
            return Err(refused("exclude-path", format!("`{wrong}` does not begin with / or *")));
        }
        Ok(Rules {
            sampling: Sampling { share, by },
            include: read("include", &self.include)?,
            exclude: read("exclude", &self.exclude)?,
            exclude_paths: exclude_paths.iter().map(|path| PathPattern::parse(path)).collect(),
            keep_probes: self.keep_probes,
        })
    }
}
