//! What a policy amounts to, and what in it may not be what its author meant.

use super::super::class::Class;
use super::super::paths::{Paths, Pattern, Treatment, Walk};
use super::{Policy, Rules, UnknownContent};
use crate::exchange::Place;

/// Words in header names under which credentials travel.
const TELLING: &[&str] = &[
    "auth",
    "authorization",
    "token",
    "secret",
    "key",
    "apikey",
    "session",
    "sid",
    "password",
    "passwd",
    "cookie",
    "credential",
    "credentials",
    "signature",
    "jwt",
    "bearer",
];

/// More memory than a sidecar should spend on one body.
const LARGE_BODY: u64 = 256 << 20;

/// A policy in figures, with the built-in lists it extends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Request and response fields whose values stay.
    pub headers: (usize, usize),
    /// Fields replaced by a keyed token.
    pub tokenized: usize,
    /// Query parameters whose values stay.
    pub query: usize,
    /// Path patterns whose last segment is replaced.
    pub identifiers: usize,
    /// Paths of free text.
    pub free_text: usize,
    /// Paths of strings that stay.
    pub keep: usize,
    /// Rules for media types.
    pub content_types: usize,
    /// Whether a body of unknown type is left out (or its exchange is).
    pub drops_unknown: bool,
    /// Methods of gRPC services whose messages are described.
    pub grpc_methods: usize,
    /// Classes that are looked for.
    pub detectors_on: Vec<&'static str>,
    /// Classes that are not.
    pub detectors_off: Vec<&'static str>,
    /// One sentence each.
    pub warnings: Vec<String>,
}

// === impl Policy ===

impl Policy {
    /// What the policy amounts to.
    pub fn review(&self) -> Review {
        let rules = &self.rules;
        let names = |off: bool| {
            let classes = Class::ALL.into_iter().filter(|class| rules.detectors.off.contains(class) == off);
            classes.map(Class::name).collect()
        };
        Review {
            headers: (rules.headers.request.len(), rules.headers.response.len()),
            tokenized: rules.headers.tokenize.len(),
            query: rules.target.query.len(),
            identifiers: rules.target.identifiers.len(),
            free_text: rules.json.free_text.len(),
            keep: rules.json.keep.len(),
            content_types: rules.content_types.len(),
            drops_unknown: rules.unknown_content != Some(UnknownContent::Refuse),
            grpc_methods: self.services().map_or(0, |services| services.methods()),
            detectors_on: names(false),
            detectors_off: names(true),
            warnings: warnings(rules),
        }
    }
}

fn warnings(rules: &Rules) -> Vec<String> {
    let mut warnings = Vec::new();
    headers(rules, &mut warnings);
    paths(rules, &mut warnings);
    for class in &rules.detectors.off {
        warnings.push(format!("the detector of {} is off: such values stay in every text", class.name()));
    }
    if rules.max_decoded_bytes() > LARGE_BODY {
        warnings.push(format!(
            "max_decoded_bytes allows one body to take {} bytes of memory",
            rules.max_decoded_bytes()
        ));
    }
    if rules.binary_tensors.keeps(Place::RequestBody) {
        warnings.push(
            "binary_tensors keeps inputs: token ids spell the text, pixels show the picture".to_owned(),
        );
    }
    warnings
}

fn headers(rules: &Rules, warnings: &mut Vec<String>) {
    for name in rules.headers.request.union(&rules.headers.response) {
        let name = String::from(name.clone());
        if name.split(['-', '_', '.', '*']).any(|word| TELLING.contains(&word)) {
            warnings.push(format!(
                "header `{name}` is kept, but its name is that of a credential: tokenize or drop it"
            ));
        }
        if name.strip_suffix('*').is_some_and(|prefix| prefix.len() <= 2) {
            warnings.push(format!("header `{name}` keeps nearly every field; list those that are needed"));
        }
    }
}

fn paths(rules: &Rules, warnings: &mut Vec<String>) {
    let free = Paths::new(&rules.json.free_text, &Default::default());
    let mut walk = Walk::default();
    for pattern in &rules.json.keep {
        let text = String::from(pattern.clone());
        let literal = !text.split('/').any(|step| matches!(step, "*" | "**"));
        walk.restart(&free);
        for step in text.split('/').skip(1).filter(|_| literal) {
            walk.enter(&free, step.replace("~1", "/").replace("~0", "~").as_bytes());
        }
        let covered = literal && walk.treatment() == Treatment::FreeText;
        if covered || rules.json.free_text.contains(pattern) {
            warnings.push(format!(
                "json.keep `{text}` has no effect: json.free_text covers it, and free text holds"
            ));
        }
    }
    let lists = [("json.free_text", &rules.json.free_text), ("json.keep", &rules.json.keep)];
    for (list, patterns) in lists {
        let all = |pattern: &&Pattern| matches!(String::from((*pattern).clone()).as_str(), "/**" | "/**/*");
        for pattern in patterns.iter().filter(all) {
            let pattern = String::from(pattern.clone());
            warnings.push(format!("{list} `{pattern}` covers every string of every document"));
        }
    }
}
