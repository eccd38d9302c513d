//! The command line, and what it means.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::compute::{Compute, Profile};
use crate::fault::FaultShare;
use crate::generation::Generation;

/// A stand-in for a sentiment service. It models load and measures no hardware.
///
/// Answers come from VADER's lexicon and rules; their *time* comes from a model: requests queue for workers that take
/// calls of a stated length. Workers wait on a timer and burn no core, so several stand-ins fit on one laptop.
///
///   call = (call-us + token-us * tokens in the call) * jitter
///   most requests a second = workers * batch / (call-us + token-us * batch * tokens)
#[derive(Clone, Debug, Parser)]
#[command(name = "understudy-sentiment", version, verbatim_doc_comment, args_override_self = true)]
pub struct Options {
    /// Where to listen; port 0 takes a free one, printed when ready
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Generation of the API
    #[arg(long, value_enum, default_value_t = Generation::B)]
    pub generation: Generation,
    /// The only path prefix that answers (`/api/v1` in production, empty in debug mode); both answer without it
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
    /// Key that clients must send as X-API-Key
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<String>,
    /// Longest text in characters
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub max_text_length: usize,
    /// What `backend` says in answers (generations B and C)
    #[arg(long, value_enum, default_value_t = Backend::Pytorch)]
    pub backend: Backend,
    /// Answers kept and given again for the same text, oldest forgotten first; 0 is none
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub cache: usize,

    /// Parameters of the compute model, by name
    #[arg(long, value_enum, default_value_t = Profile::CpuLarge, help_heading = "Compute model")]
    pub profile: Profile,
    /// Fixed part of a call
    #[arg(long, value_name = "US", help_heading = "Compute model")]
    pub call_us: Option<u64>,
    /// Added for each token in the call
    #[arg(long, value_name = "US", help_heading = "Compute model")]
    pub token_us: Option<u64>,
    /// Most requests in one call
    #[arg(long, value_name = "N", help_heading = "Compute model", value_parser = positive)]
    pub batch: Option<usize>,
    /// How long a batch may wait to fill
    #[arg(long, value_name = "US", help_heading = "Compute model")]
    pub batch_window_us: Option<u64>,
    /// Calls at the same time
    #[arg(long, value_name = "N", help_heading = "Compute model", value_parser = positive)]
    pub workers: Option<usize>,
    /// Sigma of the log-normal factor on each call
    #[arg(long, value_name = "SIGMA", help_heading = "Compute model", value_parser = sigma)]
    pub jitter: Option<f64>,
    /// Time until the model is loaded; /predict and /ready answer 503 before
    #[arg(long, value_name = "MS", help_heading = "Compute model")]
    pub cold_start_ms: Option<u64>,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Compute model")]
    pub seed: u64,

    /// KIND=SHARE[:ARG] of predictions: status=0.01:503, reset=0.01, stall=0.01:2s, slow-body=0.01:1s, truncate=0.01
    #[arg(long = "fault", value_name = "FAULT", help_heading = "Faults")]
    pub faults: Vec<FaultShare>,
    /// Obey the request header `x-fault: KIND[:ARG]`
    #[arg(long, help_heading = "Faults")]
    pub faults_by_header: bool,
    /// Share of texts with the wrong label; the same text always has the same
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, help_heading = "Faults", value_parser = share)]
    pub wrong_labels: f64,
    /// Scores differ by up to this much; the same text's always alike
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, help_heading = "Faults", value_parser = share)]
    pub score_noise: f64,

    /// End when standard input closes, so that no stand-in outlives its parent
    #[arg(long)]
    pub until_stdin_closes: bool,
}

/// The inference library that answers name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// PyTorch
    Pytorch,
    /// ONNX Runtime
    Onnx,
}

// === impl Options ===

impl Options {
    /// The profile with every parameter that was given replaced.
    pub fn compute(&self) -> Compute {
        let of = self.profile.compute();
        let micros = |given: Option<u64>, or| given.map_or(or, Duration::from_micros);
        Compute {
            call: micros(self.call_us, of.call),
            token: micros(self.token_us, of.token),
            batch: self.batch.unwrap_or(of.batch),
            window: micros(self.batch_window_us, of.window),
            workers: self.workers.unwrap_or(of.workers),
            jitter: self.jitter.unwrap_or(of.jitter),
            cold_start: self.cold_start_ms.map_or(of.cold_start, Duration::from_millis),
            seed: self.seed,
        }
    }
}

// === impl Backend ===

impl Backend {
    /// As answers spell it.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Pytorch => "pytorch",
            Backend::Onnx => "onnx",
        }
    }
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "must be a whole number from 1".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|n| (0.0..=1.0).contains(n)).ok_or_else(|| "must lie from 0 to 1".to_owned())
}

fn sigma(text: &str) -> Result<f64, String> {
    // Beyond 2 a single call of the log-normal tail would last for minutes.
    text.parse().ok().filter(|n| (0.0..=2.0).contains(n)).ok_or_else(|| "must lie from 0 to 2".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_given_replaces_that_of_the_profile_only() {
        let options =
            Options::try_parse_from(["x", "--profile", "gpu", "--batch", "8", "--cold-start-ms", "50"])
                .unwrap();
        let compute = options.compute();
        let gpu = Profile::Gpu.compute();
        assert_eq!(compute, Compute { batch: 8, cold_start: Duration::from_millis(50), ..gpu });
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        for wrong in
            ["--batch=0", "--workers=0", "--jitter=-1", "--jitter=NaN", "--wrong-labels=1.1", "--fault=x"]
        {
            assert!(Options::try_parse_from(["x", wrong]).is_err(), "{wrong}");
        }
    }
}
