//! The request around a text: a preset, or a JSON file.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::exchange::{Body, Headers, HttpVersion, Request};

/// Stands for the text.
const TEXT: &str = "{{text}}";
/// Stands for the tokens of the input, as a number.
const INPUT_TOKENS: &str = "{{input_tokens}}";
/// Stands for the tokens of the answer, as a number.
const OUTPUT_TOKENS: &str = "{{output_tokens}}";

/// A request with a place for a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Value,
    has_output: bool,
}

/// A template that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// No preset of that name.
    #[error("no preset makes requests of the kind `{name}`; there are: {}", Template::PRESETS.join(", "))]
    UnknownPreset {
        /// The name that was asked for.
        name: String,
    },
    /// No such file, no permission, ...
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a template.
    #[error(
        "{path}: {what}; a template is {{\"method\", \"target\", \"headers\", \"body\"}} with {TEXT} in the body"
    )]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong.
        what: String,
    },
}

/// A request that was made.
pub(super) struct Filled {
    pub(super) request: Request,
    /// Whether the length of the answer is in it.
    pub(super) has_output: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "post")]
    method: String,
    target: String,
    #[serde(default)]
    headers: Map<String, Value>,
    body: Value,
}

// === impl Template ===

impl Template {
    /// Names of the presets: those that the judge knows the answers of, and chat completions.
    pub const PRESETS: [&'static str; 5] = ["kubesentiment", "tei", "huggingface", "vllm", "openai"];

    /// The request of a known service.
    pub fn preset(name: &str) -> Result<Template, TemplateError> {
        let (target, body) = match name {
            "kubesentiment" => ("/predict", json!({ "text": TEXT })),
            "tei" => ("/predict", json!({ "inputs": TEXT })),
            "huggingface" => ("/", json!({ "inputs": TEXT })),
            "vllm" => ("/classify", json!({ "input": TEXT })),
            "openai" => (
                "/v1/chat/completions",
                json!({ "messages": [{ "role": "user", "content": TEXT }], "max_tokens": OUTPUT_TOKENS }),
            ),
            _ => return Err(TemplateError::UnknownPreset { name: name.to_owned() }),
        };
        Ok(Template {
            method: post(),
            target: target.to_owned(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            has_output: mentions(&body, OUTPUT_TOKENS),
            body,
        })
    }

    /// Reads a template file.
    pub fn from_file(path: &Path) -> Result<Template, TemplateError> {
        let name = path.display().to_string();
        match std::fs::read(path) {
            Ok(json) => Self::from_json(&json, &name),
            Err(source) => Err(TemplateError::Io { path: name, source }),
        }
    }

    /// Reads a template; `source` names it in errors.
    pub fn from_json(json: &[u8], source: &str) -> Result<Template, TemplateError> {
        let malformed = |what: String| TemplateError::Malformed { path: source.to_owned(), what };
        let file: File = serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
        if !file.target.starts_with('/') || file.target.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err(malformed("the target is no path".to_owned()));
        }
        if !mentions(&file.body, TEXT) {
            return Err(malformed(format!("the body has no {TEXT}")));
        }
        let field = |(name, value): (String, Value)| match value {
            Value::String(value) => Ok((name, value)),
            _ => Err(malformed("a header is no text".to_owned())),
        };
        let mut headers = file.headers.into_iter().map(field).collect::<Result<Vec<_>, _>>()?;
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let has_output = mentions(&file.body, OUTPUT_TOKENS);
        Ok(Template { method: file.method, target: file.target, headers, body: file.body, has_output })
    }

    /// Makes a request.
    pub(super) fn fill(&self, text: &str, input_tokens: u64, output_tokens: Option<u64>) -> Filled {
        let values = Values { text, input_tokens, output_tokens };
        let body = values.fill(&self.body).unwrap_or(Value::Null).to_string();
        let mut headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.clone().into(), value.clone().into())).collect();
        headers.push(("content-length".into(), body.len().to_string().into()));
        let request = Request {
            method: self.method.clone().into(),
            target: self.target.clone().into(),
            version: HttpVersion::Http11,
            headers: Headers::from(headers),
            body: Body { original_len: body.len() as u64, bytes: body.into(), ..Body::default() },
            trailers: Headers::default(),
        };
        Filled { request, has_output: self.has_output }
    }
}

/// What the placeholders stand for.
struct Values<'a> {
    text: &'a str,
    input_tokens: u64,
    output_tokens: Option<u64>,
}

impl Values<'_> {
    /// The value with its placeholders filled; a member whose number is unknown is left out.
    fn fill(&self, value: &Value) -> Option<Value> {
        Some(match value {
            Value::String(text) if text == INPUT_TOKENS => self.input_tokens.into(),
            Value::String(text) if text == OUTPUT_TOKENS => self.output_tokens?.into(),
            Value::String(text) => text.replace(TEXT, self.text).into(),
            Value::Array(items) => items.iter().filter_map(|item| self.fill(item)).collect(),
            Value::Object(members) => members
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), self.fill(value)?)))
                .collect::<Map<_, _>>()
                .into(),
            other => other.clone(),
        })
    }
}

fn mentions(value: &Value, placeholder: &str) -> bool {
    match value {
        Value::String(text) => text.contains(placeholder),
        Value::Array(items) => items.iter().any(|item| mentions(item, placeholder)),
        Value::Object(members) => members.values().any(|value| mentions(value, placeholder)),
        _ => false,
    }
}

fn post() -> String {
    "POST".to_owned()
}
