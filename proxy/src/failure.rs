//! Why the sidecar could not do its work: one line for the user, and an exit code.

/// Why the sidecar ended without doing its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Arguments or policy are wrong (64).
    #[error("{0}")]
    Usage(String),
    /// A file is not what it should be (65).
    #[error("{0}")]
    Data(String),
    /// A file cannot be read (66).
    #[error("{0}")]
    Input(String),
    /// A port is taken, a name does not resolve (69).
    #[error("{0}")]
    Unavailable(String),
    /// A bug of ours (70).
    #[error("{0}; this is a bug in understudy-proxy, please report it")]
    Bug(String),
    /// The captures directory cannot be written (73).
    #[error("{0}")]
    Output(String),
}

// === impl Failure ===

impl Failure {
    /// The exit code, as in sysexits.h.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Usage(_) => 64,
            Failure::Data(_) => 65,
            Failure::Input(_) => 66,
            Failure::Unavailable(_) => 69,
            Failure::Bug(_) => 70,
            Failure::Output(_) => 73,
        }
    }
}
