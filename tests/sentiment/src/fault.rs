//! What goes wrong on request.

use std::str::FromStr;
use std::time::Duration;

use hyper::StatusCode;
use rand::RngExt;
use rand::rngs::StdRng;

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers at once with this status and an error body of the generation.
    Status(StatusCode),
    /// Resets the connection (RST) without a byte of an answer.
    Reset,
    /// Is silent for this long, then serves the request as usual.
    Stall(Duration),
    /// Sends head and body at once, but the body's pieces over this long.
    SlowBody(Duration),
    /// Promises the whole body, sends half of it and closes the connection.
    Truncate,
}

/// A fault and how many of the requests it hits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultShare {
    /// The fault.
    pub fault: Fault,
    /// Share of `POST /predict` requests, 0 to 1.
    pub share: f64,
}

/// Decides for each request which fault hits it, if any.
#[derive(Debug)]
pub struct Lottery {
    shares: Vec<FaultShare>,
    rng: StdRng,
}

/// Text that names no fault.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No such kind.
    #[error("`{0}` is no fault; there are status, reset, stall, slow-body and truncate")]
    Kind(String),
    /// The argument does not fit the kind.
    #[error("`{0}` does not fit; write status:503, stall:2s or slow-body:500ms")]
    Argument(String),
    /// No share, or one out of range.
    #[error("`{0}` has no share from 0 to 1; write KIND=SHARE[:ARG], as in status=0.01:503")]
    Share(String),
    /// Shares of one server add up to more than all requests.
    #[error("the shares of all faults add up to {0}, more than all requests")]
    Sum(String),
}

// === impl Fault ===

impl Fault {
    fn new(kind: &str, argument: Option<&str>) -> Result<Self, FaultError> {
        let misfit = || FaultError::Argument(argument.unwrap_or_default().to_owned());
        let duration = |default| match argument {
            None => Ok(Duration::from_secs(default)),
            Some(text) => parse_duration(text).ok_or_else(misfit),
        };
        match (kind, argument) {
            ("status", None) => Ok(Fault::Status(StatusCode::INTERNAL_SERVER_ERROR)),
            ("status", Some(code)) => match code.parse::<StatusCode>() {
                Ok(status) if status.as_u16() >= 400 => Ok(Fault::Status(status)),
                _ => Err(misfit()),
            },
            ("stall", _) => duration(30).map(Fault::Stall),
            ("slow-body", _) => duration(1).map(Fault::SlowBody),
            ("reset", None) => Ok(Fault::Reset),
            ("truncate", None) => Ok(Fault::Truncate),
            ("reset" | "truncate", Some(_)) => Err(misfit()),
            _ => Err(FaultError::Kind(kind.to_owned())),
        }
    }
}

/// `KIND[:ARG]`, as in the `x-fault` header.
impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        match text.split_once(':') {
            Some((kind, argument)) => Fault::new(kind.trim(), Some(argument.trim())),
            None => Fault::new(text.trim(), None),
        }
    }
}

/// `KIND=SHARE[:ARG]`, as on the command line.
impl FromStr for FaultShare {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let no_share = || FaultError::Share(text.to_owned());
        let (kind, rest) = text.split_once('=').ok_or_else(no_share)?;
        let (share, argument) = match rest.split_once(':') {
            Some((share, argument)) => (share, Some(argument)),
            None => (rest, None),
        };
        let share: f64 = share.parse().map_err(|_| no_share())?;
        if !(0.0..=1.0).contains(&share) {
            return Err(no_share());
        }
        Ok(FaultShare { fault: Fault::new(kind, argument)?, share })
    }
}

// === impl Lottery ===

impl Lottery {
    /// A lottery whose draws repeat with `rng`'s seed.
    pub fn new(shares: Vec<FaultShare>, rng: StdRng) -> Result<Self, FaultError> {
        let sum: f64 = shares.iter().map(|share| share.share).sum();
        if sum > 1.0 + 1e-9 {
            return Err(FaultError::Sum(sum.to_string()));
        }
        Ok(Self { shares, rng })
    }

    /// The fate of the next request.
    pub fn draw(&mut self) -> Option<Fault> {
        if self.shares.is_empty() {
            return None;
        }
        let mut left: f64 = self.rng.random();
        self.shares.iter().find_map(|FaultShare { fault, share }| {
            left -= share;
            (left < 0.0).then_some(*fault)
        })
    }
}

/// `2s`, `500ms`, `250us`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let seconds = number.parse::<f64>().ok()?
        * match unit {
            "s" => 1.0,
            "ms" => 1e-3,
            "us" => 1e-6,
            _ => return None,
        };
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn faults_are_read_with_and_without_argument() {
        let read = |text: &str| text.parse::<Fault>();
        assert_eq!(read("status:503"), Ok(Fault::Status(StatusCode::SERVICE_UNAVAILABLE)));
        assert_eq!(read("reset"), Ok(Fault::Reset));
        assert_eq!(read("stall: 2s"), Ok(Fault::Stall(Duration::from_secs(2))));
        assert_eq!(read("slow-body:1.5ms"), Ok(Fault::SlowBody(Duration::from_micros(1500))));
        assert_eq!(read("truncate"), Ok(Fault::Truncate));
        assert_eq!(read("explode"), Err(FaultError::Kind("explode".into())));
        for bad in ["status:200", "status:x", "stall:2", "stall:-1s", "reset:1s"] {
            assert!(matches!(read(bad), Err(FaultError::Argument(_))), "{bad}");
        }
    }

    #[test]
    fn shares_are_read_and_bounded() {
        let read = |text: &str| text.parse::<FaultShare>();
        let expected = FaultShare { fault: Fault::Stall(Duration::from_millis(20)), share: 0.25 };
        assert_eq!(read("stall=0.25:20ms"), Ok(expected));
        for bad in ["reset", "reset=", "reset=1.5", "reset=-0.1", "reset=NaN"] {
            assert!(matches!(read(bad), Err(FaultError::Share(_))), "{bad}");
        }
        let too_many = vec![expected; 5];
        assert!(matches!(Lottery::new(too_many, StdRng::seed_from_u64(1)), Err(FaultError::Sum(_))));
    }

    #[test]
    fn faults_hit_their_share_of_requests_and_repeat_with_the_seed() {
        let shares = vec!["reset=0.1".parse().unwrap(), "truncate=0.3".parse().unwrap()];
        let draws = |seed| {
            let mut lottery = Lottery::new(shares.clone(), StdRng::seed_from_u64(seed)).unwrap();
            (0..10_000).map(|_| lottery.draw()).collect::<Vec<_>>()
        };
        let count = |fault| draws(1).iter().filter(|draw| **draw == fault).count();
        assert!((900..1100).contains(&count(Some(Fault::Reset))));
        assert!((2800..3200).contains(&count(Some(Fault::Truncate))));
        assert!((5800..6200).contains(&count(None)));
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
    }
}
