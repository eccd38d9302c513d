//! gRPC services in a policy: their descriptors are read when the policy is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{PolicyError, Rules};
use crate::sanitize::content::{FieldRule, Schema, UnknownFields};

/// How gRPC frames are read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrpcRules {
    /// Files that `protoc --include_imports --descriptor_set_out` writes; paths start from the policy's own folder.
    descriptors: Vec<Spanned<PathBuf>>,
    /// What happens to fields, by their full names: `package.Message.field`.
    #[serde(default)]
    fields: BTreeMap<String, Spanned<FieldRule>>,
    /// What happens to fields that the descriptors do not know.
    #[serde(default)]
    unknown_fields: UnknownFields,
}

impl Rules {
    /// The services that the rules describe, and a digest of the descriptors and what is said of their fields.
    pub(super) fn read_services(
        &self,
        source: &str,
        folder: &Path,
    ) -> Result<Option<(Arc<Schema>, blake3::Hash)>, PolicyError> {
        let Some(GrpcRules { descriptors, fields, unknown_fields }) = &self.grpc else { return Ok(None) };
        let mut schema = Schema::default();
        let mut hasher = blake3::Hasher::new();
        for file in descriptors {
            let path = folder.join(&file.value);
            let refused = |says: String| PolicyError::at(source, file.referenced, says);
            let set = std::fs::read(&path)
                .map_err(|error| refused(format!("descriptor file {}: {error}", path.display())))?;
            schema
                .add(&set)
                .map_err(|error| refused(format!("descriptor file {}: {error}", path.display())))?;
            hasher.update(blake3::hash(&set).as_bytes());
        }
        for (name, rule) in fields {
            schema.rule(name, rule.value).map_err(|error| PolicyError::at(source, rule.referenced, error))?;
        }
        schema.unknown = *unknown_fields;
        let rules: BTreeMap<&String, FieldRule> =
            fields.iter().map(|(name, rule)| (name, rule.value)).collect();
        let canonical = serde_json::to_vec(&(rules, unknown_fields)).expect("names and words only");
        hasher.update(&canonical);
        Ok(Some((Arc::new(schema), hasher.finalize())))
    }
}
