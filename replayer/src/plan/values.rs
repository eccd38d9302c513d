//! Values of settings, read from text the same way on the command line and in a plan file.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::Candidate;

/// A duration with its unit: `30s`, `250ms`, `1m30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub(super) Duration);

/// A stretch of a capture: `30s..2m`, `..2m`, `5m..`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub(super) start: Duration,
    pub(super) end: Duration,
}

/// A finite number above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Positive(pub(super) f64);

/// A share of a whole: `1%` or `0.01`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(pub(super) f64);

/// A duration in milliseconds, above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Millis(pub(super) f64);

/// A limit, or `none`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit<T>(pub(super) Option<T>);

/// Why a value is refused; follows the name of the setting.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(pub(super) String);

// === impl FromStr ===

impl FromStr for Span {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Span, BadValue> {
        let bad = || {
            BadValue(format!(
                "`{text}` is not a duration: write a number and its unit, as in 30s, 250ms or 1m30s"
            ))
        };
        let duration: jiff::SignedDuration = text.trim().parse().map_err(|_| bad())?;
        Duration::try_from(duration).map(Span).map_err(|_| bad())
    }
}

impl FromStr for Window {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Window, BadValue> {
        let Some((start, end)) = text.split_once("..") else {
            return Err(BadValue(format!(
                "`{text}` is not a window: write START..END, as in 30s..2m, ..2m or 5m.."
            )));
        };
        let start = if start.trim().is_empty() { Duration::ZERO } else { start.parse::<Span>()?.0 };
        let end = if end.trim().is_empty() { Duration::MAX } else { end.parse::<Span>()?.0 };
        if start >= end {
            return Err(BadValue(format!("the window {text} is empty: its end must come after its start")));
        }
        Ok(Window { start, end })
    }
}

impl FromStr for Positive {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Positive, BadValue> {
        match text.trim().parse::<f64>() {
            Ok(value) if value.is_finite() && value > 0.0 => Ok(Positive(value)),
            _ => Err(BadValue(format!("`{text}` is not a number above 0"))),
        }
    }
}

impl FromStr for Share {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Share, BadValue> {
        let bad = || BadValue(format!("`{text}` is not a share: write 1% or 0.01"));
        let share = match text.trim().strip_suffix('%') {
            Some(percent) => percent.trim().parse::<f64>().map_err(|_| bad())? / 100.0,
            None => text.trim().parse::<f64>().map_err(|_| bad())?,
        };
        if (0.0..=1.0).contains(&share) { Ok(Share(share)) } else { Err(bad()) }
    }
}

impl FromStr for Millis {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Millis, BadValue> {
        let Span(duration) = text.parse()?;
        if duration.is_zero() {
            return Err(BadValue("a limit of 0 cannot be kept".into()));
        }
        Ok(Millis(duration.as_secs_f64() * 1e3))
    }
}

impl<T: FromStr<Err = BadValue>> FromStr for Limit<T> {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Limit<T>, BadValue> {
        if text.trim() == "none" { Ok(Limit(None)) } else { text.parse().map(|limit| Limit(Some(limit))) }
    }
}

impl FromStr for Candidate {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Candidate, BadValue> {
        let Some((name, url)) = text.split_once('=') else {
            return Err(BadValue(format!(
                "`{text}` lacks a name: write NAME=URL, as in small=http://10.0.0.7:8000"
            )));
        };
        candidate(name, url)
    }
}

fn candidate(name: &str, url: &str) -> Result<Candidate, BadValue> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > 63 || !name.bytes().all(fits) {
        return Err(BadValue(format!(
            "`{name}` cannot name a candidate: use up to 63 letters, digits, `-`, `_` and `.`"
        )));
    }
    let target = url.parse().map_err(|BadValue(reason)| BadValue(format!("candidate {name}: {reason}")))?;
    Ok(Candidate { name: name.to_owned(), target })
}

// === impl Deserialize ===

/// Reads a string or a number of a plan file as the command line would read it.
pub(super) fn scalar<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = BadValue>,
{
    deserializer.deserialize_any(Scalar(PhantomData)).map(Some)
}

/// Reads a map of names to URLs, in its order.
pub(super) fn candidates<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Candidate>, D::Error> {
    deserializer.deserialize_map(Candidates)
}

struct Scalar<T>(PhantomData<T>);

impl<T: FromStr<Err = BadValue>> Visitor<'_> for Scalar<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

struct Candidates;

impl<'de> Visitor<'de> for Candidates {
    type Value = Vec<Candidate>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of candidate names to URLs")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Candidate>, A::Error> {
        let mut candidates = Vec::new();
        while let Some((name, url)) = map.next_entry::<String, String>()? {
            candidates.push(candidate(&name, &url).map_err(de::Error::custom)?);
        }
        Ok(candidates)
    }
}
