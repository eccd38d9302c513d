//! One rule: conditions that an exchange meets or not.

use std::time::Duration;

use understudy_captures::Exchange;

use crate::args;
use crate::filter::PathPattern;
use crate::tap::head::path_of;

/// Conditions that an exchange must all meet.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule(Vec<Condition>);

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    /// One of these methods.
    Method(Vec<String>),
    /// One of these paths, without query.
    Path(Vec<PathPattern>),
    /// A request header with one of these values.
    Header(String, Vec<PathPattern>),
    /// A status in one of these spans, both ends in it; `(0, 0)` is no answer.
    Status(Vec<(u16, u16)>),
    /// From the first byte of the request to the end, longer than this.
    Slower(Duration),
    /// The same, shorter than this.
    Faster(Duration),
}

const FORMS: &str =
    "method=GET,POST, path=/v1/*, header.NAME=VALUE, status=404,5xx,none, latency>250ms or latency<1s";

// === impl Rule ===

impl Rule {
    /// Reads conditions with white space between them.
    ///
    /// # Errors
    ///
    /// What is no condition, and the forms that are.
    pub fn parse(text: &str) -> Result<Rule, String> {
        let conditions = text.split_whitespace().map(Condition::parse).collect::<Result<Vec<_>, _>>()?;
        if conditions.is_empty() {
            return Err(format!("a rule without a condition; write {FORMS}"));
        }
        Ok(Rule(conditions))
    }

    /// Whether `exchange` meets all conditions.
    pub fn matches(&self, exchange: &Exchange) -> bool {
        self.0.iter().all(|condition| condition.is_met(exchange))
    }
}

// === impl Condition ===

impl Condition {
    fn parse(text: &str) -> Result<Condition, String> {
        let refused = || format!("`{text}` is no condition; write {FORMS}");
        if let Some(time) = text.strip_prefix("latency>") {
            return args::duration(time).map(Condition::Slower);
        }
        if let Some(time) = text.strip_prefix("latency<") {
            return args::duration(time).map(Condition::Faster);
        }
        let (name, values) = text.split_once('=').ok_or_else(refused)?;
        let values: Vec<&str> = values.split(',').collect();
        if values.iter().any(|value| value.is_empty()) {
            return Err(refused());
        }
        let patterns = || values.iter().map(|value| PathPattern::parse(value)).collect();
        match name {
            "method" => Ok(Condition::Method(values.iter().map(|method| method.to_uppercase()).collect())),
            "path" if values.iter().all(|path| path.starts_with(['/', '*'])) => {
                Ok(Condition::Path(patterns()))
            }
            "status" => values
                .iter()
                .map(|value| status(value))
                .collect::<Option<_>>()
                .map(Condition::Status)
                .ok_or_else(refused),
            _ => match name.strip_prefix("header.") {
                Some(name) if !name.is_empty() => Ok(Condition::Header(name.to_owned(), patterns())),
                _ => Err(refused()),
            },
        }
    }

    fn is_met(&self, exchange: &Exchange) -> bool {
        let any = |patterns: &[PathPattern], text| patterns.iter().any(|pattern| pattern.matches(text));
        match self {
            Condition::Method(methods) => {
                methods.iter().any(|method| method.as_bytes() == &exchange.request.method[..])
            }
            Condition::Path(patterns) => any(patterns, path_of(&exchange.request.target)),
            Condition::Header(name, patterns) => {
                exchange.request.headers.get(name).is_some_and(|value| any(patterns, value))
            }
            Condition::Status(spans) => {
                let status = exchange.response.as_ref().map_or(0, |response| response.status);
                spans.iter().any(|(from, to)| (*from..=*to).contains(&status))
            }
            Condition::Slower(limit) => u128::from(exchange.timing.end) > limit.as_nanos(),
            Condition::Faster(limit) => u128::from(exchange.timing.end) < limit.as_nanos(),
        }
    }
}

/// `404`, `5xx`, `none`.
fn status(text: &str) -> Option<(u16, u16)> {
    if text == "none" {
        return Some((0, 0));
    }
    if let Some(hundreds) = text.strip_suffix("xx") {
        let hundreds: u16 = hundreds.parse().ok().filter(|hundreds| (1..=9).contains(hundreds))?;
        return Some((hundreds * 100, hundreds * 100 + 99));
    }
    let status = text.parse().ok().filter(|status| (100..=999).contains(status))?;
    Some((status, status))
}
