//! Turns an observed exchange into one that may be written, or refuses.
//!
//! # Layout
//!
//! - [`policy`]: what may stay, what is free text, what is dropped (`docs/policy.md`).
//! - [`key`]: the secret behind every replacement.
//! - [`detect`]: finds structured personal and secret data in text.
//! - `pseudonym`, `letters`: keyed replacements that look like what they replace.
//! - `known`: what needs nothing done, so that it is looked at once.
//! - `encoded`, `masker`: read a text through its escapes and write replacements over it in place.
//! - `vocabulary`: the strict mode of free text, in which only listed words stay.
//! - `words`: sets of words, the ordinary ones of English among them.
//! - `inspect`: shows what would be replaced, and looks for what should have been.
//! - `headers`, `target`, `content`, `json`: the parts of an exchange.
//!
//! Two decisions carry the rest. What is not named by the policy goes: a field is dropped, a string replaced. And a
//! replacement has, character by character, the length and the kind of what it replaces, so documents are rewritten
//! where they stand, nothing moves, and the replay costs the model about the same work.
//!
//! What cannot be read with certainty is not written ([`Unsanitizable`]): the sanitizer fails closed.

use std::ops::Deref;

use bytes::Bytes;

use crate::exchange::{Exchange, Place, Redaction, Request, Response, Stamp};

mod class;
mod content;
pub mod detect;
mod encoded;
mod headers;
mod inspect;
mod json;
mod key;
mod known;
mod letters;
mod masker;
mod paths;
mod policy;
mod pseudonym;
mod target;
mod trace;
mod vocabulary;
mod words;

pub use class::Class;
pub use inspect::canary::{Canaries, CanaryError};
pub use inspect::explain::{Explanation, Fate, Piece};
pub use inspect::scan::{Leak, Scanner};
pub use key::{Key, KeyError};
pub use policy::{Policy, PolicyError, Review};

use content::Bodies;
use encoded::{Encoding, Undecodable};
use headers::{BodyLen, Fields};
use masker::{Draft, Masker};
use paths::Treatment;
use pseudonym::Pseudonyms;
use target::Targets;

/// The longest method that is registered has 17 letters; one that is longer, or no word at all, may be anything.
const LONGEST_METHOD: usize = 32;

/// An exchange that went through a [`Sanitizer`], or came out of a capture: the only kind that a segment takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sanitized(pub(crate) Exchange);

/// Sanitizes exchanges under one policy and one key.
///
/// Holds scratch space, so one belongs to one thread; two under the same policy and key give the same results.
pub struct Sanitizer {
    policy: Policy,
    key_id: String,
    stamp: Stamp,
    masker: Masker,
    targets: Targets,
    bodies: Bodies,
    request_fields: Fields,
    response_fields: Fields,
}

/// Why an exchange cannot be sanitized with certainty, and so is not written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct Unsanitizable {
    /// `request body`, `response body`, ...
    pub place: &'static str,
    /// What stood in the way; never quotes the traffic.
    pub reason: &'static str,
}

// === impl Sanitized ===

impl Deref for Sanitized {
    type Target = Exchange;
    fn deref(&self) -> &Exchange {
        &self.0
    }
}

impl Sanitized {
    /// The exchange itself.
    pub fn into_inner(self) -> Exchange {
        self.0
    }
}

// === impl Sanitizer ===

impl Sanitizer {
    /// A sanitizer for one thread.
    pub fn new(policy: Policy, key: Key) -> Sanitizer {
        let rules = policy.rules();
        let key_id = key.id();
        Sanitizer {
            stamp: Stamp::of(&policy.digest(), &key_id),
            key_id,
            masker: Masker::new(Pseudonyms::new(&key), policy.detectors()).within(policy.vocabulary()),
            targets: Targets::new(rules),
            bodies: Bodies::new(rules).describing(policy.services()),
            request_fields: Fields::of_requests(rules),
            response_fields: Fields::of_responses(rules),
            policy,
        }
    }

    /// The policy it works under.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Names the key it works under ([`Key::id`]).
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Sanitizes one exchange, or says why that cannot be done with certainty.
    ///
    /// One that went through the same policy and key before, and came out of here or of a segment, passes as it is:
    /// sanitizing twice is sanitizing once. Under another policy or key it is sanitized again, and what was replaced
    /// before is still counted.
    pub fn sanitize(&mut self, exchange: Exchange) -> Result<Sanitized, Unsanitizable> {
        if exchange.stamp.agrees(self.stamp) {
            return Ok(Sanitized(exchange));
        }
        // Taken apart without `..`, so that a new field does not compile until somebody decides what may stay of it.
        let Exchange {
            id,
            connection,
            index,
            arrival,
            request,
            response,
            ending,
            timing,
            chunks,
            redactions: earlier,
            trace_id,
            stamp: _,
        } = exchange;
        self.masker.forget();
        self.bodies.call(&request.target);
        let request = self.request(request)?;
        let response = response.map(|response| self.response(response)).transpose()?;
        Ok(Sanitized(Exchange {
            id,
            connection,
            index,
            arrival,
            request,
            response,
            ending,
            timing,
            chunks,
            redactions: self.masker.redactions(earlier.to_vec()).into(),
            trace_id,
            stamp: self.stamp,
        }))
    }

    /// Sanitizes one free text outside of an exchange, as the same text would be as a model's input; says what was
    /// replaced, by class.
    pub fn free_text(&mut self, text: &str) -> (String, Vec<Redaction>) {
        self.masker.forget();
        let mut draft = Draft::new(text.as_bytes(), Place::RequestBody);
        let read =
            self.masker.treat(&mut draft, 0..text.len(), Encoding::Plain, Treatment::FreeText, "string");
        read.expect("a str is UTF-8");
        let new = draft.finish().map(|bytes| String::from_utf8(bytes).expect("replaced by whole characters"));
        (new.unwrap_or_else(|| text.to_owned()), self.masker.redactions(Vec::new()))
    }

    fn request(&mut self, request: Request) -> Result<Request, Unsanitizable> {
        let Request { method, target, version, headers, body, trailers } = request;
        let method = checked_method(method)?;
        let target = self.targets.sanitize(target, &mut self.masker).map_err(|Undecodable| {
            Unsanitizable { place: "request target", reason: "not valid UTF-8 when decoded" }
        })?;
        let body = self
            .bodies
            .sanitize(body, &headers, Place::RequestBody, &mut self.masker)
            .map_err(|reason| Unsanitizable { place: "request body", reason })?;
        let len = BodyLen::of(&body);
        Ok(Request {
            method,
            target,
            version,
            headers: self.request_fields.sanitize(headers, len, &mut self.masker),
            body,
            trailers: self.request_fields.sanitize(trailers, len, &mut self.masker),
        })
    }

    fn response(&mut self, response: Response) -> Result<Response, Unsanitizable> {
        let Response { status, version, headers, body, trailers } = response;
        let body = self
            .bodies
            .sanitize(body, &headers, Place::ResponseBody, &mut self.masker)
            .map_err(|reason| Unsanitizable { place: "response body", reason })?;
        let len = BodyLen::of(&body);
        Ok(Response {
            status,
            version,
            headers: self.response_fields.sanitize(headers, len, &mut self.masker),
            body,
            trailers: self.response_fields.sanitize(trailers, len, &mut self.masker),
        })
    }
}

fn checked_method(method: Bytes) -> Result<Bytes, Unsanitizable> {
    let word = (1..=LONGEST_METHOD).contains(&method.len()) && method.iter().all(u8::is_ascii_alphabetic);
    match word {
        true => Ok(method),
        false => Err(Unsanitizable { place: "request method", reason: "not a word of at most 32 letters" }),
    }
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
