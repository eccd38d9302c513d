//! The vocabulary in a policy: read when the policy is, so that nothing is left to fail while traffic goes by.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{PolicyError, Rules};
use crate::sanitize::vocabulary::{MOST_DIGITS, Vocabulary};

/// How free text is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FreeTextMode {
    /// What the detectors find is replaced.
    #[default]
    Detectors,
    /// And so is what is not listed.
    Vocabulary,
}

/// Which words may stay.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct VocabularyRules {
    /// Built-in lists; English unless something is said.
    languages: Option<BTreeSet<Language>>,
    /// Lists of words, one a line; paths start from the policy's own folder.
    files: Vec<Spanned<PathBuf>>,
    /// Numbers of so many digits stay.
    digits: Option<Spanned<u8>>,
}

/// A built-in list of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Language {
    En,
}

impl Rules {
    /// The vocabulary that the rules ask for; `None` in detector mode.
    pub(super) fn read_vocabulary(
        &self,
        source: &str,
        folder: &Path,
    ) -> Result<Option<Vocabulary>, PolicyError> {
        let given = match (self.free_text_mode, &self.vocabulary) {
            (FreeTextMode::Vocabulary, given) => given.as_ref().map(|spanned| &spanned.value),
            (FreeTextMode::Detectors, None) => return Ok(None),
            (FreeTextMode::Detectors, Some(unused)) => {
                let says = "a vocabulary has no effect without `free_text_mode: vocabulary`";
                return Err(PolicyError::at(source, unused.referenced, says));
            }
        };
        let default = VocabularyRules::default();
        let VocabularyRules { languages, files, digits } = given.unwrap_or(&default);
        if let Some(digits) = digits.as_ref().filter(|digits| digits.value > MOST_DIGITS) {
            let says = format!("`digits` is at most {MOST_DIGITS}: longer numbers name people and cards");
            return Err(PolicyError::at(source, digits.referenced, says));
        }
        let mut vocabulary = Vocabulary::new(digits.as_ref().map_or(0, |digits| digits.value));
        if languages.as_ref().is_none_or(|languages| languages.contains(&Language::En)) {
            vocabulary.add_english();
        }
        for file in files {
            let path = folder.join(&file.value);
            let refused = |says: String| PolicyError::at(source, file.referenced, says);
            let list = std::fs::read(&path)
                .map_err(|error| refused(format!("vocabulary file {}: {error}", path.display())))?;
            vocabulary
                .add_list(&list)
                .map_err(|error| refused(format!("vocabulary file {}:{error}", path.display())))?;
        }
        Ok(Some(vocabulary))
    }
}
