//! What happens to each piece of an exchange, and why.

use bytes::Bytes;

use super::super::content::ContentKind;
use super::super::detect::Scope;
use super::super::encoded::Decoder;
use super::super::masker::{LONGEST_KEPT, WORD};
use super::super::paths::Treatment;
use super::super::trace::{Step, Trace};
use super::super::{Sanitized, Sanitizer, Unsanitizable};
use super::locate;
use crate::exchange::{Body, Exchange, Headers, Place};

/// What became of one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays: the policy lists it, or it is a name.
    Kept,
    /// Free text, in which nothing was found.
    Clean,
    /// Replaced as a whole; the policy does not list it.
    Replaced,
    /// What the detectors found in it was replaced.
    Found(Vec<&'static str>),
    /// A keyed token stands for it.
    Token,
    /// It is not written.
    Dropped(&'static str),
    /// It was made right, as the body changed.
    Corrected,
}

/// One piece of an exchange, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The part it belongs to.
    pub place: Place,
    /// Where in that part: a field, a JSON pointer, a parameter.
    pub at: String,
    /// As it was, decoded.
    pub before: String,
    /// As it would be written; `None` when it would not.
    pub after: Option<String>,
    /// What happened, and by that why.
    pub fate: Fate,
}

/// What sanitizing does to an exchange.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Every piece, in the order of the exchange.
    pub pieces: Vec<Piece>,
    /// The result, or why nothing would be written.
    pub result: Result<Sanitized, Unsanitizable>,
}

/// A part of an exchange and what became of it.
struct Part<'a> {
    place: Place,
    before: &'a [u8],
    after: &'a [u8],
    kind: Option<ContentKind>,
}

// === impl Sanitizer ===

impl Sanitizer {
    /// Says what sanitizing does to `exchange`. The explanation quotes it: show it to nobody who may not see it.
    pub fn explain(&mut self, exchange: &Exchange) -> Explanation {
        self.masker.trace = Some(Trace::default());
        let result = self.sanitize(exchange.clone());
        let trace = self.masker.trace.take().unwrap_or_default();
        let Ok(sanitized) = &result else { return Explanation { pieces: Vec::new(), result } };
        let mut pieces = Vec::new();
        let (before, after) = (&exchange.request, &sanitized.request);
        let target = Part { place: Place::Target, before: &before.target, after: &after.target, kind: None };
        self.part(&target, &trace, &mut pieces);
        self.fields(Place::RequestHeader, &before.headers, &after.headers, &mut pieces);
        self.body(Place::RequestBody, &before.headers, (&before.body, &after.body), &trace, &mut pieces);
        if let Some((before, after)) = exchange.response.as_ref().zip(sanitized.response.as_ref()) {
            self.fields(Place::ResponseHeader, &before.headers, &after.headers, &mut pieces);
            self.body(Place::ResponseBody, &before.headers, (&before.body, &after.body), &trace, &mut pieces);
        }
        Explanation { pieces, result }
    }

    fn part(&self, part: &Part<'_>, trace: &Trace, pieces: &mut Vec<Piece>) {
        let mut decoder = Decoder::default();
        let mut text = |bytes: &[u8], encoding| match decoder.decode(bytes, encoding) {
            Ok(decoded) => decoded.text.to_owned(),
            Err(_) => String::from_utf8_lossy(bytes).into_owned(),
        };
        let first = pieces.len();
        let of_part = |step: &&Step| step.place == part.place && !step.range.is_empty();
        for step in trace.steps().iter().filter(of_part) {
            let named = trace.named(step.place, step.range.start);
            let (before, after) = match named.and_then(|named| named.number.clone()) {
                Some(number) => number,
                None => (
                    text(&part.before[step.range.clone()], step.encoding),
                    text(&part.after[step.range.clone()], step.encoding),
                ),
            };
            let at = match (named, part.kind) {
                (Some(named), _) => named.at.clone(),
                (None, None) => locate::in_target(part.before, step.range.start),
                (None, Some(kind)) => locate::in_body(kind, part.before, step.range.start),
            };
            let fate = self.fate(step, &before, before != after);
            let piece = Piece { place: part.place, at, before, after: Some(after), fate };
            // Names that stay are most of a document and say nothing.
            let is_name = step.class == "key" || step.class == "query" && step.treatment == Treatment::Scan;
            if !is_name || piece.fate != Fate::Kept {
                pieces.push(piece);
            }
        }
        if pieces.len() == first && !part.before.is_empty() && part.before == part.after {
            let before = String::from_utf8_lossy(part.before).into_owned();
            let at = if part.kind.is_some() { "all of it" } else { "path" }.to_owned();
            pieces.push(Piece {
                place: part.place,
                at,
                after: Some(before.clone()),
                before,
                fate: Fate::Kept,
            });
        }
    }

    fn fate(&self, step: &Step, text: &str, changed: bool) -> Fate {
        if let Some(class) = self.masker.number_class(text.as_bytes()).filter(|_| step.class == "number") {
            return Fate::Found(vec![class.name()]);
        }
        let scope = match step.treatment {
            Treatment::Replace => return if changed { Fate::Replaced } else { Fate::Kept },
            Treatment::Keep if changed && text.chars().nth(LONGEST_KEPT).is_some() => return Fate::Replaced,
            Treatment::FreeText if !changed => return Fate::Clean,
            _ if !changed => return Fate::Kept,
            Treatment::FreeText => Scope::Prose,
            Treatment::Keep | Treatment::Scan => Scope::Value,
        };
        let mut found = self.found(text, scope);
        if found.is_empty() || step.treatment == Treatment::FreeText && self.policy.vocabulary().is_some() {
            found.push(WORD);
        }
        Fate::Found(found)
    }

    fn found(&self, text: &str, scope: Scope) -> Vec<&'static str> {
        let mut findings = Vec::new();
        self.policy.detectors().scan(text, scope, &mut findings);
        let mut names: Vec<_> = findings.iter().map(|finding| finding.class.name()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn fields(&self, place: Place, before: &Headers, after: &Headers, pieces: &mut Vec<Piece>) {
        let mut kept = after.iter().peekable();
        for (name, value) in before.iter() {
            let new = kept.next_if(|(new, _)| *new == name).map(|(_, value)| value);
            let fate = match new {
                None => Fate::Dropped("the policy does not list it"),
                Some(new) if new == value => Fate::Kept,
                Some(_) if name.eq_ignore_ascii_case(b"content-length") => Fate::Corrected,
                Some(_) if self.request_fields.is_tokenized(name) => Fate::Token,
                Some(_) if name.eq_ignore_ascii_case(b"content-type") => Fate::Replaced,
                Some(_) => Fate::Found(self.found(&String::from_utf8_lossy(value), Scope::Value)),
            };
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            let after = new.map(text);
            pieces.push(Piece { place, at: text(name), before: text(value), after, fate });
        }
    }

    fn body(
        &mut self,
        place: Place,
        headers: &Headers,
        (before, after): (&Body, &Body),
        trace: &Trace,
        pieces: &mut Vec<Piece>,
    ) {
        if before.bytes.is_empty() {
            return;
        }
        let kind = self.bodies.kind(headers, before.truncated);
        let mut decoded = match self.bodies.decoded(before.bytes.clone(), headers) {
            Ok((decoded, _)) if !after.bytes.is_empty() => decoded,
            _ => Bytes::new(),
        };
        if kind == ContentKind::Grpc {
            decoded = self.bodies.plain(decoded, headers, place, &mut self.masker).unwrap_or_default();
        }
        if decoded.len() != after.bytes.len() || decoded.is_empty() {
            let before = format!("{} bytes", before.bytes.len());
            let fate = Fate::Dropped("no rule reads content of this type");
            pieces.push(Piece { place, at: "all of it".to_owned(), before, after: None, fate });
            return;
        }
        let part = Part { place, before: &decoded, after: &after.bytes, kind: Some(kind) };
        self.part(&part, trace, pieces);
        pieces.extend(trace.dropped(place).map(|(at, why)| Piece {
            place,
            at: at.to_owned(),
            before: "a field".to_owned(),
            after: None,
            fate: Fate::Dropped(why),
        }));
    }
}
