//! Label and score of a response, by preset or JSON pointer.
//!
//! A service that classifies says its answer somewhere in a JSON body; everything else in that body (request ids,
//! timings, cache flags) differs between two calls that mean the same. So only what the preset points at is read
//! and compared. Labels are folded to upper case, because backends of one model differ in it (`positive` from one
//! runtime, `POSITIVE` from another). A response that carries the answers of several inputs has no single label
//! and is not read.

mod pointer;

use std::borrow::Cow;

use serde_json::Value;

use self::pointer::{Pointer, Scalar, scalars};

/// Longest label, in bytes. What is longer is generated text, not a class, and would turn every count by label into
/// a list of texts.
const MAX_LABEL: usize = 128;

/// Where the input, label and score of an exchange are, and which of its requests change nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preset {
    name: String,
    /// Where the text that was classified is in a request.
    inputs: Vec<Pointer>,
    shape: Shape,
    /// `POST` paths that only read.
    safe: Vec<SafePath>,
}

/// What a response with an answer looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// Label and score are where the pointers say.
    Pointers { label: Pointer, score: Option<Pointer> },
    /// Every class with its score, in no reliable order: the highest score is the answer. The list may be wrapped in
    /// a list of one (a batch of one).
    Classes,
    /// `{"data": [{"label", "probs"}]}`, one item for each input.
    Data,
}

/// A path that may be asked again without harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SafePath {
    /// This path alone.
    Exact(&'static str),
    /// Everything below; ends in a slash.
    Below(&'static str),
}

/// What the model said.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundAnswer<'a> {
    /// The label, in upper case.
    pub label: Cow<'a, str>,
    /// The score, when there is one; finite.
    pub score: Option<f32>,
}

/// There is no preset of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no preset is called `{name}`; there are: {}", Preset::NAMES.join(", "))]
pub struct UnknownPreset {
    /// The name that was asked for.
    pub name: String,
}

/// Not a JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{pointer}` is not a JSON pointer: write the path of the {what} with a leading slash, as in /result/0/{what}"
)]
pub struct BadPointer {
    /// What was given.
    pub pointer: String,
    /// `label`, `score` or `text`.
    pub what: &'static str,
}

// === impl Preset ===

impl Preset {
    /// Every name that [`Preset::named`] knows.
    pub const NAMES: [&'static str; 4] = ["kubesentiment", "tei", "huggingface", "vllm"];

    /// A preset for a known service.
    pub fn named(name: &str) -> Result<Preset, UnknownPreset> {
        let known = |inputs: &[&str], shape, safe: &[SafePath]| Preset {
            name: name.to_owned(),
            inputs: inputs.iter().map(|p| Pointer::to(p)).collect(),
            shape,
            safe: safe.to_vec(),
        };
        match name {
            "kubesentiment" => {
                let shape =
                    Shape::Pointers { label: Pointer::to("/label"), score: Some(Pointer::to("/score")) };
                Ok(known(
                    &["/text"],
                    shape,
                    &[SafePath::Exact("/predict"), SafePath::Exact("/api/v1/predict")],
                ))
            }
            "tei" => Ok(known(&["/inputs", "/inputs/0/0"], Shape::Classes, &[SafePath::Exact("/predict")])),
            "huggingface" => {
                let safe = [SafePath::Exact("/"), SafePath::Below("/models/")];
                Ok(known(&["/inputs", "/inputs/0"], Shape::Classes, &safe))
            }
            "vllm" => {
                let safe = [SafePath::Exact("/classify"), SafePath::Exact("/v1/classify")];
                Ok(known(&["/input", "/input/0"], Shape::Data, &safe))
            }
            _ => Err(UnknownPreset { name: name.to_owned() }),
        }
    }

    /// A preset for any service with JSON answers. No `POST` path is safe by it.
    pub fn rules(label_pointer: &str, score_pointer: Option<&str>) -> Result<Preset, BadPointer> {
        Ok(Preset {
            name: "rules".into(),
            inputs: ["/text", "/inputs", "/input"].map(Pointer::to).to_vec(),
            shape: Shape::Pointers {
                label: Pointer::parse(label_pointer, "label")?,
                score: score_pointer.map(|p| Pointer::parse(p, "score")).transpose()?,
            },
            safe: Vec::new(),
        })
    }

    /// Name in plans and reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// JSON pointers of label and score, for a preset made by [`Preset::rules`].
    pub fn pointers(&self) -> Option<(&str, Option<&str>)> {
        match &self.shape {
            Shape::Pointers { label, score } if self.name == "rules" => {
                Some((label.as_str(), score.as_ref().map(Pointer::as_str)))
            }
            _ => None,
        }
    }

    /// Whether answers are expected to carry a score.
    pub fn has_score(&self) -> bool {
        !matches!(self.shape, Shape::Pointers { score: None, .. })
    }

    /// Label and score of a response body; `None` when it is not JSON, has no label, or answers several inputs.
    pub fn answer<'a>(&self, body: &'a [u8]) -> Option<FoundAnswer<'a>> {
        let (label, score) = match &self.shape {
            Shape::Pointers { label, score } => {
                // Without a pointer to a score, that of the label leads to no number that counts.
                let [found, number] = scalars(body, [label, score.as_ref().unwrap_or(label)])?;
                let number = match number {
                    Some(Scalar::Number(number)) if score.is_some() => number.as_f64(),
                    _ => None,
                };
                (label_text(found?)?, number)
            }
            Shape::Classes => best_class(&serde_json::from_slice(body).ok()?)?,
            Shape::Data => only_item(&serde_json::from_slice(body).ok()?)?,
        };
        let score = score.map(|s| s as f32).filter(|s| s.is_finite());
        Some(FoundAnswer { label, score })
    }

    /// The text that a request asked about; `None` when it is not where the preset expects it.
    pub fn input(&self, body: &[u8]) -> Option<String> {
        let body: Value = serde_json::from_slice(body).ok()?;
        self.inputs.iter().find_map(|p| p.of(&body).and_then(Value::as_str)).map(str::to_owned)
    }

    /// A request body that asks about one text.
    pub fn question(&self, text: &str) -> Vec<u8> {
        // The first place of every preset is a member of the document.
        let member = self.inputs.first().map_or("text", |pointer| pointer.as_str().trim_start_matches('/'));
        serde_json::json!({ member: text }).to_string().into_bytes()
    }

    /// Where the service answers such a request, as far as that is known.
    pub fn path(&self) -> Option<&'static str> {
        self.safe.iter().find_map(|safe| match safe {
            SafePath::Exact(path) => Some(*path),
            SafePath::Below(_) => None,
        })
    }

    /// Whether a request changes nothing: `GET`, `HEAD` and `OPTIONS` by definition (RFC 9110, 9.2.1), and a `POST`
    /// that only asks for a prediction. `path` is without query.
    pub fn is_safe(&self, method: &[u8], path: &[u8]) -> bool {
        match method {
            b"GET" | b"HEAD" | b"OPTIONS" => true,
            b"POST" => self.safe.iter().any(|safe| safe.matches(path)),
            _ => false,
        }
    }
}

// === impl SafePath ===

impl SafePath {
    fn matches(self, path: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => path == exact.as_bytes(),
            Self::Below(folder) => path
                .strip_prefix(folder.as_bytes())
                .is_some_and(|rest| !rest.is_empty() && !rest.windows(2).any(|two| two == b"..")),
        }
    }
}

/// A label as compared: scalars as text, in upper case.
fn label_text(scalar: Scalar<'_>) -> Option<Cow<'_, str>> {
    let label = match scalar {
        Scalar::Text(text) if is_folded(&text) => text,
        Scalar::Text(text) => Cow::Owned(text.trim().to_uppercase()),
        Scalar::Number(number) => Cow::Owned(number.to_string()),
        Scalar::Bool(true) => Cow::Borrowed("TRUE"),
        Scalar::Bool(false) => Cow::Borrowed("FALSE"),
    };
    (!label.is_empty() && label.len() <= MAX_LABEL).then_some(label)
}

/// Whether a label is already as it is compared.
fn is_folded(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_lowercase())
}

/// A label in a tree.
fn label_of(value: &Value) -> Option<Cow<'static, str>> {
    let scalar = match value {
        Value::String(text) => Scalar::Text(Cow::Owned(text.clone())),
        Value::Number(number) => Scalar::Number(number.clone()),
        Value::Bool(value) => Scalar::Bool(*value),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    label_text(scalar)
}

/// The answer in `{"data": [{"label", "probs"}]}`, if it is one.
fn only_item(body: &Value) -> Option<(Cow<'static, str>, Option<f64>)> {
    let [item] = &body.get("data")?.as_array()?[..] else { return None };
    let probs = item.get("probs").and_then(Value::as_array);
    let best = probs.and_then(|p| p.iter().filter_map(Value::as_f64).max_by(f64::total_cmp));
    Some((label_of(item.get("label")?)?, best))
}

/// The class with the highest score, of `[{label, score}, ...]` or `[[{label, score}, ...]]`.
fn best_class(body: &Value) -> Option<(Cow<'static, str>, Option<f64>)> {
    let mut classes = body.as_array()?;
    if let Some(Value::Array(inner)) = classes.first() {
        if classes.len() > 1 {
            return None;
        }
        classes = inner;
    }
    let scored =
        classes.iter().filter_map(|class| Some((class.get("label")?, class.get("score")?.as_f64()?)));
    let (label, score) = scored.max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some((label_of(label)?, Some(score)))
}

#[cfg(test)]
mod tests;
