//! The parameters of the compute model and the named profiles.

use std::time::Duration;

use clap::ValueEnum;

/// How long answers take. Durations are those of the modelled hardware, not of the machine the stand-in runs on.
///
/// A call that serves requests of `t1 + t2 + ...` tokens takes `(call + token * (t1 + t2 + ...)) * jitter`. At most
/// `workers * batch / (call + token * batch * t)` requests of `t` tokens are answered a second; what comes faster waits
/// in an unbounded queue, first come, first served.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compute {
    /// Fixed part of a call.
    pub call: Duration,
    /// Added for each token in the call.
    pub token: Duration,
    /// Most requests in one call. At least 1.
    pub batch: usize,
    /// How long the oldest waiting request may wait for the batch to fill while a worker is idle.
    pub window: Duration,
    /// Calls at the same time. At least 1.
    pub workers: usize,
    /// Sigma of the log-normal factor (mean 1) on each call; 0 is none.
    pub jitter: f64,
    /// Time from the start until the model is loaded and requests are served.
    pub cold_start: Duration,
    /// Seed of the jitter.
    pub seed: u64,
}

/// Named parameters. The figures were chosen to keep the *order* of the hardware classes they are named after; they
/// were not measured on any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// A node with 2 cores: 2 workers of 2.6 ms + 70 us a token
    CpuSmall,
    /// A node with 4 cores: 4 workers of 2.6 ms + 70 us a token
    CpuLarge,
    /// A node with one GPU: 1 worker of 2.4 ms + 2 us a token, batches of 32 gathered for 0.5 ms
    Gpu,
}

// === impl Profile ===

impl Profile {
    /// The parameters that the name stands for.
    pub fn compute(self) -> Compute {
        let cpu = |workers, jitter| Compute {
            call: Duration::from_micros(2600),
            token: Duration::from_micros(70),
            batch: 1,
            window: Duration::ZERO,
            workers,
            jitter,
            cold_start: Duration::ZERO,
            seed: 1,
        };
        match self {
            Profile::CpuSmall => cpu(2, 0.10),
            Profile::CpuLarge => cpu(4, 0.08),
            Profile::Gpu => Compute {
                call: Duration::from_micros(2400),
                token: Duration::from_micros(2),
                batch: 32,
                window: Duration::from_micros(500),
                workers: 1,
                jitter: 0.03,
                cold_start: Duration::ZERO,
                seed: 1,
            },
        }
    }
}

// === impl Compute ===

impl Compute {
    /// Requests of `tokens` tokens each that can be answered in a second, when all batches are full.
    pub fn capacity(&self, tokens: u32) -> f64 {
        let batch = self.batch as f64;
        let call = self.call.as_secs_f64() + self.token.as_secs_f64() * batch * f64::from(tokens);
        self.workers as f64 * batch / call
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_keep_the_order_of_their_hardware() {
        let of = |profile: Profile| profile.compute().capacity(22);
        assert!(of(Profile::CpuLarge) > 1.9 * of(Profile::CpuSmall));
        assert!(of(Profile::Gpu) > 4.0 * of(Profile::CpuLarge));
    }
}
