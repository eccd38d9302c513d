//! What may stay, what is free text, what is dropped: a YAML file over a safe built-in default (`docs/policy.md`).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_saphyr::{Location, Spanned};

use super::class::Class;
use super::content::{ContentRule, Schema};
use super::detect::Detectors;
use super::paths::{Paths, Pattern};
use super::vocabulary::Vocabulary;
use crate::exchange::Place;

mod grpc;
mod names;
mod review;
mod vocabulary;

use grpc::GrpcRules;
pub(super) use names::{HeaderName, KeptHeader};
pub use review::Review;
use vocabulary::{FreeTextMode, VocabularyRules};

const BUILTIN: &str = include_str!("default-policy.yaml");
const VERSION: u32 = 1;

/// Decoded bodies beyond this are refused unless the policy says otherwise.
const DEFAULT_MAX_DECODED_BYTES: u64 = 16 << 20;
/// Deeper than any inference API; a parser's stack is safe far beyond it.
const DEFAULT_MAX_DEPTH: u16 = 128;

/// What may stay, what is free text, what is dropped. YAML, with a built-in default that is safe for an unknown service.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Rules,
    /// In vocabulary mode.
    vocabulary: Option<Arc<Vocabulary>>,
    /// Where it describes gRPC services, and the digest of that.
    services: Option<(Arc<Schema>, blake3::Hash)>,
}

/// A policy file that cannot be used; says file, line and column.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PolicyError(pub String);

/// The file as written; lists add to those of the policy it extends.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    version: Version,
    #[serde(default)]
    extends: Base,
    #[serde(default)]
    pub(super) headers: HeaderRules,
    #[serde(default)]
    pub(super) target: TargetRules,
    #[serde(default)]
    pub(super) json: JsonRules,
    #[serde(default)]
    pub(super) content_types: Vec<ContentRule>,
    #[serde(default)]
    pub(super) unknown_content: Option<UnknownContent>,
    #[serde(default)]
    pub(super) binary_tensors: BinaryTensors,
    #[serde(default)]
    pub(super) max_decoded_bytes: Option<u64>,
    #[serde(default)]
    pub(super) detectors: DetectorRules,
    /// Not serialised: what it means is the vocabulary, which the digest covers word by word.
    #[serde(default, skip_serializing)]
    free_text_mode: FreeTextMode,
    #[serde(default, skip_serializing)]
    vocabulary: Option<Spanned<VocabularyRules>>,
    /// Not serialised: the digest covers the descriptors and what is said of their fields.
    #[serde(default, skip_serializing)]
    grpc: Option<GrpcRules>,
}

/// The version of the policy format.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(try_from = "u32", into = "u32")]
struct Version;

/// What a policy file starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Base {
    /// The built-in policy.
    #[default]
    Builtin,
    /// Nothing: only what the file lists may stay.
    Nothing,
}

/// Which header values stay.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HeaderRules {
    /// Values kept in requests and their trailers.
    pub(super) request: BTreeSet<KeptHeader>,
    /// Values kept in responses and their trailers.
    pub(super) response: BTreeSet<KeptHeader>,
    /// Values replaced by a keyed token in either.
    pub(super) tokenize: BTreeSet<HeaderName>,
}

/// What stays of the request target.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TargetRules {
    /// Names of query parameters whose values stay.
    pub(super) query: BTreeSet<String>,
    /// Path patterns whose last segment is always replaced.
    pub(super) identifiers: BTreeSet<Pattern>,
}

/// What stays of JSON strings, and of form fields (a field is a member of one object).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct JsonRules {
    /// Strings that only the detectors touch.
    pub(super) free_text: BTreeSet<Pattern>,
    /// Short strings that stay (the detectors still run).
    pub(super) keep: BTreeSet<Pattern>,
    /// Deepest nesting that is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_depth: Option<u16>,
}

/// Which detectors run.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DetectorRules {
    /// Classes that are not looked for.
    pub(super) off: BTreeSet<Class>,
}

/// What happens to a body of a type without a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum UnknownContent {
    /// The exchange is recorded without it.
    Drop,
    /// The exchange is not recorded.
    Refuse,
}

/// What happens to numbers in the binary part of a tensor body.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BinaryTensors {
    inputs: Option<Numbers>,
    outputs: Option<Numbers>,
}

/// Whether numbers stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Numbers {
    /// As they are.
    Keep,
    /// Overwritten with zeros.
    Zero,
}

// === impl Policy ===

impl Policy {
    /// The built-in default.
    pub fn builtin() -> Policy {
        let rules =
            Rules::parse(BUILTIN, "built-in policy").expect("the built-in policy is covered by a test");
        Policy { rules: rules.resolved(), vocabulary: None, services: None }
    }

    /// The built-in default as YAML, to read or to start from.
    pub fn builtin_yaml() -> &'static str {
        BUILTIN
    }

    /// Reads a policy file.
    pub fn from_file(path: &Path) -> Result<Policy, PolicyError> {
        let source = path.display().to_string();
        let yaml =
            std::fs::read_to_string(path).map_err(|e| PolicyError(format!("policy file {source}: {e}")))?;
        Self::read(&yaml, &source, path.parent().unwrap_or(Path::new("")))
    }

    /// Reads a policy; `source` names it in errors. Files that it names are looked for in the working directory.
    pub fn from_yaml(yaml: &str, source: &str) -> Result<Policy, PolicyError> {
        Self::read(yaml, source, Path::new(""))
    }

    /// Reads a policy whose files lie in `folder`.
    fn read(yaml: &str, source: &str, folder: &Path) -> Result<Policy, PolicyError> {
        let rules = Rules::parse(yaml, source)?;
        let vocabulary = rules.read_vocabulary(source, folder)?;
        let services = rules.read_services(source, folder)?;
        let rules = match rules.extends {
            Base::Builtin => rules.over(Self::builtin().rules),
            Base::Nothing => rules.resolved(),
        };
        Ok(Policy { rules, vocabulary: vocabulary.map(Arc::new), services })
    }

    /// BLAKE3 of the canonical policy (defaults filled in, sets in order), 64 hex digits: equal for files that mean the
    /// same.
    pub fn digest(&self) -> String {
        let canonical =
            serde_json::to_vec(&self.rules).expect("a policy holds strings, numbers and lists only");
        let mut hasher = blake3::Hasher::new();
        hasher.update(&canonical);
        if let Some(vocabulary) = &self.vocabulary {
            hasher.update(b"vocabulary").update(vocabulary.digest().as_bytes());
        }
        if let Some((_, digest)) = &self.services {
            hasher.update(b"grpc").update(digest.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The same policy in vocabulary mode: with its own vocabulary, or else the built-in English one.
    pub fn in_vocabulary_mode(mut self) -> Policy {
        self.vocabulary.get_or_insert_with(|| {
            let mut english = Vocabulary::new(0);
            english.add_english();
            Arc::new(english)
        });
        self
    }

    /// The same policy in detector mode.
    pub fn in_detector_mode(self) -> Policy {
        Policy { vocabulary: None, ..self }
    }

    /// What may stay of free text, in vocabulary mode.
    pub(super) fn vocabulary(&self) -> Option<Arc<Vocabulary>> {
        self.vocabulary.clone()
    }

    /// The gRPC services that the policy describes.
    pub(super) fn services(&self) -> Option<Arc<Schema>> {
        self.services.as_ref().map(|(schema, _)| schema.clone())
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The detectors that are on.
    pub fn detectors(&self) -> Detectors {
        Detectors::without(&self.rules.detectors.off)
    }
}

// === impl PolicyError ===

impl PolicyError {
    fn at(source: &str, at: Location, says: impl std::fmt::Display) -> Self {
        Self(format!("{source}:{}:{}: {says}", at.line(), at.column()))
    }
}

// === impl Rules ===

impl Rules {
    fn parse(yaml: &str, source: &str) -> Result<Rules, PolicyError> {
        serde_saphyr::from_str(yaml).map_err(|error| {
            let says = one_line(&error.without_snippet().to_string());
            match error.location() {
                Some(at) => PolicyError::at(source, at, says),
                None => PolicyError(format!("{source}: {says}")),
            }
        })
    }

    /// With every default filled in.
    fn resolved(mut self) -> Rules {
        self.extends = Base::Nothing;
        self.json.max_depth.get_or_insert(DEFAULT_MAX_DEPTH);
        self.unknown_content.get_or_insert(UnknownContent::Drop);
        // Token ids and pixels are what people wrote and showed; scores say little of them.
        self.binary_tensors.inputs.get_or_insert(Numbers::Zero);
        self.binary_tensors.outputs.get_or_insert(Numbers::Keep);
        self.max_decoded_bytes.get_or_insert(DEFAULT_MAX_DECODED_BYTES);
        self
    }

    /// These rules added to those of `base`; what can be said only once is taken from here.
    fn over(self, base: Rules) -> Rules {
        let Rules {
            version,
            extends: _,
            headers,
            target,
            json,
            content_types,
            unknown_content,
            binary_tensors,
            max_decoded_bytes,
            detectors,
            free_text_mode,
            vocabulary,
            grpc,
        } = self;
        Rules {
            version,
            extends: Base::Nothing,
            headers: HeaderRules {
                request: union(headers.request, base.headers.request),
                response: union(headers.response, base.headers.response),
                tokenize: union(headers.tokenize, base.headers.tokenize),
            },
            target: TargetRules {
                query: union(target.query, base.target.query),
                identifiers: union(target.identifiers, base.target.identifiers),
            },
            json: JsonRules {
                free_text: union(json.free_text, base.json.free_text),
                keep: union(json.keep, base.json.keep),
                max_depth: json.max_depth.or(base.json.max_depth),
            },
            content_types: content_types.into_iter().chain(base.content_types).collect(),
            unknown_content: unknown_content.or(base.unknown_content),
            binary_tensors: BinaryTensors {
                inputs: binary_tensors.inputs.or(base.binary_tensors.inputs),
                outputs: binary_tensors.outputs.or(base.binary_tensors.outputs),
            },
            max_decoded_bytes: max_decoded_bytes.or(base.max_decoded_bytes),
            detectors: DetectorRules { off: union(detectors.off, base.detectors.off) },
            // The built-in policy is the only base, and it has no vocabulary and no descriptors.
            free_text_mode,
            vocabulary,
            grpc,
        }
        .resolved()
    }

    pub(super) fn json_paths(&self) -> Paths {
        Paths::new(&self.json.free_text, &self.json.keep)
    }

    pub(super) fn max_depth(&self) -> usize {
        usize::from(self.json.max_depth.unwrap_or(DEFAULT_MAX_DEPTH))
    }

    pub(super) fn max_decoded_bytes(&self) -> u64 {
        self.max_decoded_bytes.unwrap_or(DEFAULT_MAX_DECODED_BYTES)
    }
}

fn union<T: Ord>(mut a: BTreeSet<T>, b: BTreeSet<T>) -> BTreeSet<T> {
    a.extend(b);
    a
}

/// The first line of a message, without the place that the caller has already named.
fn one_line(message: &str) -> String {
    let line = message.lines().find(|l| !l.trim().is_empty()).unwrap_or_default().trim();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    match line.split_once(" at line ") {
        Some((text, _)) => text.to_owned(),
        None => line.to_owned(),
    }
}

// === impl BinaryTensors ===

impl BinaryTensors {
    /// Whether the numbers of a body stay.
    pub(super) fn keeps(&self, place: Place) -> bool {
        let numbers = if place == Place::RequestBody { self.inputs } else { self.outputs };
        numbers == Some(Numbers::Keep)
    }
}

// === impl Version ===

impl TryFrom<u32> for Version {
    type Error = String;

    fn try_from(version: u32) -> Result<Self, String> {
        match version {
            VERSION => Ok(Self),
            other => Err(format!("policy version {other} is unknown; this program reads version {VERSION}")),
        }
    }
}

impl From<Version> for u32 {
    fn from(_: Version) -> u32 {
        VERSION
    }
}

#[cfg(test)]
mod tests;
