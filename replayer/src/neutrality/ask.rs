//! Asks a live server about raw and sanitized texts and compares its answers.
//!
//! The two versions of a text are asked one right after the other on one connection, in an order drawn by a seed: what
//! drifts hits both alike, and who comes second is chance. Texts and answers stay in memory.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper_util::rt::TokioIo;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use tokio::net::TcpStream;

use super::Pair;
use crate::answers::Preset;
use crate::judge::binomial::{quantile_ranks, share_interval};
use crate::judge::bootstrap::Design;
use crate::judge::latency::{Interval, nearest_rank};
use crate::plan::Target;

/// An answer of a classifier is a few hundred bytes.
const LONGEST_ANSWER: usize = 1 << 20;

/// Confidence of every interval.
pub const LEVEL: f64 = 0.95;

/// Resamples of the mean's interval.
const RESAMPLES: usize = 2_000;

/// Whom to ask, and how.
#[derive(Clone, Debug)]
pub struct Questions {
    /// Who answers.
    pub target: Target,
    /// Path below it.
    pub path: String,
    /// How texts are asked and answers read.
    pub preset: Preset,
    /// Fields of every request besides its own; values are marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Most texts asked about; of more, so many are drawn.
    pub most: usize,
    /// Pairs at the same time.
    pub concurrency: usize,
    /// A request without a whole answer by then failed.
    pub timeout: Duration,
    /// Seed of every draw.
    pub seed: u64,
}

/// What one request came to.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    label: String,
    score: Option<f32>,
    millis: f64,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    Connect,
    Reset,
    Timeout,
    Status(u16),
    /// An answer without a label where the preset looks for it.
    Unread,
}

/// Both answers about one text.
struct Asked {
    changed: bool,
    raw: Result<Answer, Trouble>,
    sanitized: Result<Answer, Trouble>,
}

/// Flips among compared texts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flips {
    /// Texts with two answers.
    pub compared: u64,
    /// Of those, with two labels.
    pub flipped: u64,
    /// Exact binomial interval of the share; nothing when nothing was compared.
    pub interval: Option<(f64, f64)>,
}

/// Quantiles of a difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Values.
    pub count: u64,
    /// Median, 95th and 99th percentile and the largest.
    pub quantiles: [f64; 4],
}

/// Latency of sanitized against raw, by text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// Median of raw texts, ms.
    pub raw_ms: f64,
    /// Median of sanitized texts, ms.
    pub sanitized_ms: f64,
    /// Median of sanitized minus raw, ms.
    pub difference_ms: f64,
    /// Its interval by order statistics; no bound where there are too few texts.
    pub difference_interval: Interval,
    /// Mean of sanitized minus raw, ms, and its bootstrap interval.
    pub mean_difference_ms: (f64, (f64, f64)),
}

/// What the server said of raw against sanitized texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Texts asked about, each twice.
    pub asked: u64,
    /// Texts that sanitizing changed.
    pub changed: Flips,
    /// Texts that it did not change: what flips here is the server's own noise.
    pub unchanged: Flips,
    /// Size of the score's move, of texts that sanitizing changed and that kept their label.
    pub score_shift: Option<Spread>,
    /// Latency, of texts with two answers.
    pub latency: Option<Latency>,
    /// Requests without an answer, by kind: `raw: timeout`, `sanitized: status 503`.
    pub errors: BTreeMap<String, u64>,
}

/// The server cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// Nothing accepts a connection.
    #[error("{target}: {source}")]
    Connect {
        /// Who was asked.
        target: Target,
        /// What the system says.
        source: io::Error,
    },
    /// It accepts connections, and answered no text.
    #[error("{target} gave no answer that could be read to any of {asked} texts ({most_often})")]
    Mute {
        /// Who was asked.
        target: Target,
        /// Texts.
        asked: u64,
        /// The commonest reason.
        most_often: String,
    },
}

/// Asks about every pair (or as many as allowed, drawn by the seed) and compares.
pub fn ask(pairs: &[Pair], questions: &Questions) -> Result<Comparison, Unavailable> {
    let refused = |source| Unavailable::Connect { target: questions.target.clone(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
    let local = tokio::task::LocalSet::new();
    let asked = runtime.block_on(local.run_until(ask_all(pairs, questions))).map_err(refused)?;
    let comparison = Comparison::of(&asked, questions.seed);
    if comparison.changed.compared + comparison.unchanged.compared == 0 {
        let most_often = comparison.errors.iter().max_by_key(|(_, count)| **count);
        return Err(Unavailable::Mute {
            target: questions.target.clone(),
            asked: comparison.asked,
            most_often: most_often.map(|(kind, _)| kind.clone()).unwrap_or_default(),
        });
    }
    Ok(comparison)
}

async fn ask_all(pairs: &[Pair], questions: &Questions) -> io::Result<Vec<Asked>> {
    let target = &questions.target;
    let mut addresses = tokio::net::lookup_host((target.host.as_str(), target.port)).await?;
    let none = || io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    let address = addresses.next().ok_or_else(none)?;
    // Whoever mistyped the address should not wait for a thousand failures.
    TcpStream::connect(address).await?;
    let mut rng = StdRng::seed_from_u64(questions.seed);
    let mut order: Vec<(usize, bool)> = (0..pairs.len()).map(|index| (index, rng.random())).collect();
    order.shuffle(&mut rng);
    order.truncate(questions.most);
    let next = Cell::new(0);
    let asked = RefCell::new(Vec::with_capacity(order.len()));
    let worker = async || {
        let mut line = Line { address, questions, sender: None };
        while let Some((index, raw_first)) = order.get(next.replace(next.get() + 1)) {
            let Pair { raw, sanitized } = &pairs[*index];
            let (first, second) = if *raw_first { (raw, sanitized) } else { (sanitized, raw) };
            let first = line.ask(first).await;
            let second = line.ask(second).await;
            let changed = raw != sanitized;
            let (raw, sanitized) = if *raw_first { (first, second) } else { (second, first) };
            asked.borrow_mut().push(Asked { changed, raw, sanitized });
        }
    };
    let workers: Vec<_> = (0..questions.concurrency).map(|_| worker()).collect();
    join_all(workers).await;
    Ok(asked.into_inner())
}

/// Runs futures that borrow, side by side, to their ends.
async fn join_all<F: Future<Output = ()>>(futures: Vec<F>) {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    std::future::poll_fn(move |context| {
        futures.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if futures.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// One connection, opened again when it breaks.
struct Line<'a> {
    address: SocketAddr,
    questions: &'a Questions,
    sender: Option<SendRequest<Full<Bytes>>>,
}

// === impl Line ===

impl Line<'_> {
    async fn ask(&mut self, text: &str) -> Result<Answer, Trouble> {
        let answer = tokio::time::timeout(self.questions.timeout, self.attempt(text)).await;
        let answer = answer.unwrap_or(Err(Trouble::Timeout));
        if matches!(answer, Err(Trouble::Timeout | Trouble::Reset)) {
            self.sender = None;
        }
        answer
    }

    async fn attempt(&mut self, text: &str) -> Result<Answer, Trouble> {
        let request = self.request(text);
        let sender = match self.sender.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => self.sender.insert(sender),
            None => self.sender.insert(connect(self.address).await.map_err(|_| Trouble::Connect)?),
        };
        sender.ready().await.map_err(|_| Trouble::Reset)?;
        let sent = Instant::now();
        let response = sender.send_request(request).await.map_err(|_| Trouble::Reset)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await;
        let body = body.map_err(|_| Trouble::Reset)?.to_bytes();
        let millis = sent.elapsed().as_secs_f64() * 1e3;
        if !status.is_success() {
            return Err(Trouble::Status(status.as_u16()));
        }
        let found = self.questions.preset.answer(&body).ok_or(Trouble::Unread)?;
        Ok(Answer { label: found.label.into_owned(), score: found.score, millis })
    }

    fn request(&self, text: &str) -> Request<Full<Bytes>> {
        let Questions { target, path, preset, headers, .. } = self.questions;
        let mut request = Request::new(Full::new(Bytes::from(preset.question(text))));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = format!("{}{path}", target.prefix).parse().unwrap_or_default();
        let fields = request.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(host) = HeaderValue::try_from(target.authority()) {
            fields.insert(HOST, host);
        }
        for (name, value) in headers {
            fields.insert(name.clone(), value.clone());
        }
        request
    }
}

async fn connect(address: SocketAddr) -> io::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::task::spawn_local(async move {
        // What goes wrong is seen by the request that was on it.
        connection.await.ok();
    });
    Ok(sender)
}

// === impl Comparison ===

impl Comparison {
    fn of(asked: &[Asked], seed: u64) -> Comparison {
        let mut errors = BTreeMap::new();
        for pair in asked {
            for (version, answer) in [("raw", &pair.raw), ("sanitized", &pair.sanitized)] {
                if let Err(trouble) = answer {
                    *errors.entry(format!("{version}: {trouble}")).or_default() += 1;
                }
            }
        }
        let both: Vec<(bool, &Answer, &Answer)> = asked
            .iter()
            .filter_map(|pair| Some((pair.changed, pair.raw.as_ref().ok()?, pair.sanitized.as_ref().ok()?)))
            .collect();
        let flips =
            |changed| Flips::of(both.iter().filter(|(c, ..)| *c == changed).map(|(_, a, b)| (*a, *b)));
        let shifts = both.iter().filter(|(changed, a, b)| *changed && a.label == b.label);
        let shifts = shifts.filter_map(|(_, a, b)| Some(f64::from((a.score? - b.score?).abs()))).collect();
        Comparison {
            asked: asked.len() as u64,
            changed: flips(true),
            unchanged: flips(false),
            score_shift: Spread::of(shifts),
            latency: Latency::of(
                &both.iter().map(|(_, a, b)| (a.millis, b.millis)).collect::<Vec<_>>(),
                seed,
            ),
            errors,
        }
    }
}

// === impl Flips ===

impl Flips {
    fn of<'a>(answers: impl Iterator<Item = (&'a Answer, &'a Answer)>) -> Flips {
        let (mut compared, mut flipped) = (0, 0);
        for (raw, sanitized) in answers {
            compared += 1;
            flipped += u64::from(raw.label != sanitized.label);
        }
        let interval = (compared > 0).then(|| share_interval(flipped as f64, compared as f64, LEVEL));
        Flips { compared, flipped, interval }
    }
}

// === impl Spread ===

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Spread> {
        values.sort_unstable_by(f64::total_cmp);
        let count = values.len() as u64;
        let at = |q| values.get(nearest_rank(count, q) as usize).copied();
        Some(Spread { count, quantiles: [at(0.5)?, at(0.95)?, at(0.99)?, at(1.0)?] })
    }
}

// === impl Latency ===

impl Latency {
    /// `millis` of raw and sanitized, by text.
    fn of(millis: &[(f64, f64)], seed: u64) -> Option<Latency> {
        let median = |mut values: Vec<f64>| {
            values.sort_unstable_by(f64::total_cmp);
            let rank = nearest_rank(values.len() as u64, 0.5) as usize;
            values.get(rank).copied().map(|median| (median, values))
        };
        let differences: Vec<f64> = millis.iter().map(|(raw, sanitized)| sanitized - raw).collect();
        let design = Design { exchanges: millis.len(), block: 1, resamples: RESAMPLES, seed };
        let (raw_ms, _) = median(millis.iter().map(|(raw, _)| *raw).collect())?;
        let (sanitized_ms, _) = median(millis.iter().map(|(_, sanitized)| *sanitized).collect())?;
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        let mean_interval = design.mean_interval(&differences, LEVEL);
        let (difference_ms, sorted) = median(differences)?;
        let (low, high) = quantile_ranks(sorted.len() as u64, 0.5, LEVEL);
        let bound = |rank: Option<u64>| rank.and_then(|rank| sorted.get(rank as usize).copied());
        Some(Latency {
            raw_ms,
            sanitized_ms,
            difference_ms,
            difference_interval: Interval { low: bound(low), high: bound(high) },
            mean_difference_ms: (mean, mean_interval),
        })
    }
}

// === impl Trouble ===

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::Connect => f.write_str("no connection"),
            Trouble::Reset => f.write_str("connection broke"),
            Trouble::Timeout => f.write_str("timeout"),
            Trouble::Status(status) => write!(f, "status {status}"),
            Trouble::Unread => f.write_str("no label in the answer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(label: &str, score: f32, millis: f64) -> Result<Answer, Trouble> {
        Ok(Answer { label: label.into(), score: Some(score), millis })
    }

    #[test]
    fn flips_shifts_and_errors_are_counted_where_they_belong() {
        let asked = [
            Asked { changed: true, raw: answer("A", 0.9, 1.0), sanitized: answer("B", 0.6, 3.0) },
            Asked { changed: true, raw: answer("A", 0.9, 1.0), sanitized: answer("A", 0.7, 2.0) },
            Asked { changed: false, raw: answer("A", 0.9, 5.0), sanitized: answer("A", 0.9, 4.0) },
            Asked { changed: true, raw: Err(Trouble::Timeout), sanitized: answer("A", 0.9, 4.0) },
            Asked { changed: true, raw: answer("A", 0.9, 4.0), sanitized: Err(Trouble::Status(503)) },
        ];
        let comparison = Comparison::of(&asked, 1);
        assert_eq!(comparison.asked, 5);
        assert_eq!((comparison.changed.compared, comparison.changed.flipped), (2, 1));
        assert_eq!((comparison.unchanged.compared, comparison.unchanged.flipped), (1, 0));
        let (low, high) = comparison.changed.interval.unwrap();
        assert!(low < 0.05 && high > 0.95);
        let shift = comparison.score_shift.unwrap();
        assert!(shift.count == 1 && (shift.quantiles[3] - 0.2).abs() < 1e-6);
        let latency = comparison.latency.unwrap();
        assert_eq!((latency.raw_ms, latency.sanitized_ms, latency.difference_ms), (1.0, 3.0, 1.0));
        let errors: Vec<_> = comparison.errors.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
        assert_eq!(errors, [("raw: timeout", 1), ("sanitized: status 503", 1)]);
    }

    #[test]
    fn a_difference_that_is_there_is_outside_its_interval_and_none_is_inside() {
        let noise = |index: usize| (index * 7919 % 101) as f64 / 100.0;
        let same: Vec<_> = (0..400).map(|i| (5.0 + noise(i), 5.0 + noise(i * 31 + 7))).collect();
        let slower: Vec<_> = same.iter().map(|(raw, sanitized)| (*raw, sanitized + 0.5)).collect();
        let latency = Latency::of(&same, 1).unwrap();
        assert!(latency.mean_difference_ms.1.0 < 0.0 && latency.mean_difference_ms.1.1 > 0.0, "{latency:?}");
        let latency = Latency::of(&slower, 1).unwrap();
        assert!(latency.mean_difference_ms.1.0 > 0.3, "{latency:?}");
        assert!(latency.difference_interval.low.unwrap() > 0.2, "{latency:?}");
        assert_eq!(Latency::of(&[], 1), None);
        assert_eq!(Latency::of(&[(1.0, 2.0)], 1).unwrap().difference_interval, Interval::default());
    }
}
