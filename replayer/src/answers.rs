//! Label and score of a response, by preset or JSON pointer.

/// Where the input, label and score of an exchange are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Name in plans and reports.
    pub name: String,
}
