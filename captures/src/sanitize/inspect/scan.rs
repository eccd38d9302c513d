//! Looks into an exchange that is already written for what should not be in it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::content::ContentKind;
use super::super::detect::{Detectors, Finding, Scope};
use super::super::encoded::{Decoder, Encoding};
use super::super::masker::LONGEST_KEPT;
use super::super::paths::Treatment;
use super::super::trace::{Step, Trace};
use super::super::{Key, Policy, Sanitizer};
use super::canary::Canaries;
use super::locate;
use crate::exchange::{Body, Exchange, Headers, Place};

/// Looks for personal and secret data in written exchanges: all detectors, whatever the policy switches off, and
/// canaries. The policy says how bodies are read and which texts were replaced as a whole.
pub struct Scanner {
    sanitizer: Sanitizer,
    detectors: Detectors,
    canaries: Canaries,
    decoder: Decoder,
    findings: Vec<Finding>,
}

/// Something found. Never holds the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// The detector's class, or `canary`.
    pub class: &'static str,
    /// Which canary, from 1, in the order given.
    pub canary: Option<usize>,
    /// The part of the exchange.
    pub place: Place,
    /// Where in that part: a field, a JSON pointer, a parameter.
    pub at: String,
    /// First byte in that part (the target, the field's value, the body); unknown where a canary was found decoded.
    pub offset: Option<usize>,
    /// The exchange says that so many things of this class were replaced here, so this is a replacement: it looks like
    /// what it replaced. A canary is never explained.
    pub explained: bool,
}

/// What sanitizing says it replaced in an exchange, used up by what is found.
struct Budget(BTreeMap<(Place, String), u32>);

// === impl Budget ===

impl Budget {
    fn of(exchange: &Exchange) -> Self {
        let mut left = BTreeMap::new();
        for redaction in &exchange.redactions {
            *left.entry((redaction.place, redaction.class.to_string())).or_insert(0) += redaction.count;
        }
        Self(left)
    }

    fn spend(&mut self, place: Place, class: &str) -> bool {
        let left = self.0.get_mut(&(place, class.to_owned())).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    }
}

// === impl Scanner ===

impl Scanner {
    /// A scanner for one thread.
    pub fn new(policy: Policy, canaries: Canaries) -> Scanner {
        Scanner {
            sanitizer: Sanitizer::new(policy, Key::random()),
            detectors: Detectors::all(),
            canaries,
            decoder: Decoder::default(),
            findings: Vec::new(),
        }
    }

    /// What is in `exchange` that should not be, replacements of such things included.
    pub fn scan(&mut self, exchange: &Exchange) -> Vec<Leak> {
        let mut budget = Budget::of(exchange);
        let mut leaks = Vec::new();
        let request = &exchange.request;
        self.sanitizer.bodies.call(&request.target);
        self.target(&request.target, &mut budget, &mut leaks);
        self.canary(Place::Target, "method", &request.method, &mut leaks);
        for fields in [&request.headers, &request.trailers] {
            self.fields(Place::RequestHeader, fields, &mut budget, &mut leaks);
        }
        self.body(Place::RequestBody, &request.headers, &request.body, &mut budget, &mut leaks);
        if let Some(response) = &exchange.response {
            for fields in [&response.headers, &response.trailers] {
                self.fields(Place::ResponseHeader, fields, &mut budget, &mut leaks);
            }
            self.body(Place::ResponseBody, &response.headers, &response.body, &mut budget, &mut leaks);
        }
        leaks
    }

    fn target(&mut self, target: &Bytes, budget: &mut Budget, leaks: &mut Vec<Leak>) {
        self.sanitizer.masker.trace = Some(Trace::only());
        let read = self.sanitizer.targets.sanitize(target.clone(), &mut self.sanitizer.masker);
        let mut steps = self.trace().take();
        if read.is_err() {
            steps = vec![whole(Place::Target, target, Encoding::Percent)];
        }
        for step in steps {
            self.piece(&step, (target, None), |at| locate::in_target(target, at), budget, leaks);
        }
        self.canary(Place::Target, "target", target, leaks);
    }

    fn fields(&mut self, place: Place, fields: &Headers, budget: &mut Budget, leaks: &mut Vec<Leak>) {
        for (name, value) in fields.iter() {
            let shown = String::from_utf8_lossy(name).into_owned();
            // Its equality with other values is meant to show.
            let tokenized = self.sanitizer.request_fields.is_tokenized(name);
            // Random by nature, and replaced without a count.
            let boundary = Some(value).filter(|_| name.eq_ignore_ascii_case(b"content-type"));
            let boundary = boundary.and_then(super::super::content::boundary).unwrap_or(0..0);
            for (text, skip, at) in
                [(name, 0..0, format!("{shown} (the name)")), (value, boundary, shown.clone())]
            {
                for range in [0..skip.start, skip.end..text.len()] {
                    let treatment = if tokenized { Treatment::Replace } else { Treatment::Scan };
                    let class = "header_token";
                    let step = Step { place, range, encoding: Encoding::Plain, treatment, class };
                    self.piece(&step, (text, None), |_| at.clone(), budget, leaks);
                }
                self.canary(place, &at, text, leaks);
            }
        }
    }

    fn body(
        &mut self,
        place: Place,
        headers: &Headers,
        body: &Body,
        budget: &mut Budget,
        leaks: &mut Vec<Leak>,
    ) {
        if let Some(coding) = &body.decoded_from {
            self.canary(place, "decoded_from", coding.as_bytes(), leaks);
        }
        if body.bytes.is_empty() {
            return;
        }
        let (masker, bodies) = (&mut self.sanitizer.masker, &mut self.sanitizer.bodies);
        masker.trace = Some(Trace::only());
        let kind = bodies.kind(headers, body.truncated);
        let read = bodies.sanitize(body.clone(), headers, place, masker);
        let decoded = bodies.decoded(body.bytes.clone(), headers);
        let bytes = decoded.map_or(body.bytes.clone(), |(bytes, _)| bytes);
        // Frames that the policy would still change are not those that its pieces were found in.
        let is_plain = kind != ContentKind::Grpc
            || bodies.plain(bytes.clone(), headers, place, masker).is_ok_and(|plain| plain == bytes);
        let mut trace = self.trace();
        let mut steps = trace.take();
        // What the policy does not read, somebody else may: it is searched as one text.
        if !is_plain || !read.is_ok_and(|read| !read.bytes.is_empty()) {
            steps = vec![whole(place, &bytes, Encoding::Plain)];
        }
        let locate = |at| match trace.named(place, at) {
            Some(named) => named.at.clone(),
            None => locate::in_body(kind, &bytes, at),
        };
        for step in steps {
            let named = trace.named(place, step.range.start);
            let number = named.and_then(|named| named.number.as_ref()).map(|(digits, _)| digits.as_str());
            self.piece(&step, (&bytes, number), locate, budget, leaks);
        }
        self.canary_at(place, &bytes, locate, leaks);
    }

    fn trace(&mut self) -> Trace {
        self.sanitizer.masker.forget();
        self.sanitizer.masker.trace.take().unwrap_or_default()
    }

    /// Looks into one piece of a part; of a binary number its digits are given.
    fn piece(
        &mut self,
        step: &Step,
        (part, number): (&[u8], Option<&str>),
        locate: impl Fn(usize) -> String,
        budget: &mut Budget,
        leaks: &mut Vec<Leak>,
    ) {
        let raw = number.map_or(&part[step.range.clone()], str::as_bytes);
        let decoded = self.decoder.decode(raw, step.encoding);
        // Bytes that are no text are read as far as they are.
        let lossy;
        let text = match &decoded {
            Ok(decoded) => decoded.text,
            Err(_) => {
                lossy = String::from_utf8_lossy(raw).into_owned();
                &lossy
            }
        };
        self.findings.clear();
        self.detectors.scan(text, Scope::Value, &mut self.findings);
        if matches!(step.treatment, Treatment::FreeText | Treatment::Replace) && step.class == "string" {
            let mut prose = Vec::new();
            self.detectors.scan(text, Scope::Prose, &mut prose);
            // Where both see something, prose sees more of it.
            self.findings.retain(|f| !prose.iter().any(|p| p.start < f.end && f.start < p.end));
            self.findings.append(&mut prose);
            self.findings.sort_unstable_by_key(|f| f.start);
        }
        if self.findings.is_empty() {
            return;
        }
        let replaced_whole = match step.treatment {
            Treatment::Replace => true,
            Treatment::Keep => text.chars().nth(LONGEST_KEPT).is_some(),
            _ => false,
        };
        let whole_explained = replaced_whole && budget.spend(step.place, step.class);
        let at = self.discreet(locate(step.range.start));
        for finding in &self.findings {
            let class = finding.class.name();
            leaks.push(Leak {
                class,
                canary: None,
                place: step.place,
                at: at.clone(),
                offset: Some(step.range.start + finding.start.min(raw.len())),
                explained: whole_explained || budget.spend(step.place, class),
            });
        }
    }

    /// The name of a place, unless it says what must not be said: a key can be an e-mail address.
    fn discreet(&self, at: String) -> String {
        let mut findings = Vec::new();
        self.detectors.scan(&at, Scope::Prose, &mut findings);
        match findings.is_empty() && self.canaries.find(at.as_bytes()).is_empty() {
            true => at,
            false => "a place whose name is a finding itself".to_owned(),
        }
    }

    fn canary(&self, place: Place, at: &str, part: &[u8], leaks: &mut Vec<Leak>) {
        self.canary_at(place, part, |_| at.to_owned(), leaks);
    }

    fn canary_at(&self, place: Place, part: &[u8], locate: impl Fn(usize) -> String, leaks: &mut Vec<Leak>) {
        for found in self.canaries.find(part) {
            let at = match found.offset {
                Some(offset) => format!("{} ({})", self.discreet(locate(offset)), found.form),
                None => format!("somewhere in it ({})", found.form),
            };
            leaks.push(Leak {
                class: "canary",
                canary: Some(found.canary + 1),
                place,
                at,
                offset: found.offset,
                explained: false,
            });
        }
    }
}

/// A part that is one text.
fn whole(place: Place, part: &[u8], encoding: Encoding) -> Step {
    Step { place, range: 0..part.len(), encoding, treatment: Treatment::FreeText, class: "string" }
}
