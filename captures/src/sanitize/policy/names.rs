//! Header names in a policy.

use serde::{Deserialize, Serialize};

/// Fields that hold credentials: no policy can keep their values.
const CREDENTIALS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "authentication-info",
    "proxy-authentication-info",
    "cookie",
    "set-cookie",
    "x-api-key",
    "api-key",
    "apikey",
    "x-auth-token",
    "x-access-token",
    "x-csrf-token",
    "x-xsrf-token",
    "x-amz-security-token",
    "x-goog-api-key",
    "x-vault-token",
    "x-forwarded-client-cert",
    "ocp-apim-subscription-key",
];

/// A header name, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct HeaderName(String);

/// A header name whose value may stay, in lower case; a trailing `*` stands for any rest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeptHeader(String);

// === impl HeaderName ===

impl TryFrom<String> for HeaderName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if !is_name(&name) {
            return Err(format!("`{name}` is not a header name"));
        }
        Ok(Self(name.to_ascii_lowercase()))
    }
}

impl From<HeaderName> for String {
    fn from(name: HeaderName) -> String {
        name.0
    }
}

// === impl KeptHeader ===

impl KeptHeader {
    /// Whether this covers a field, compared without case. A wildcard never covers a field that holds credentials.
    pub(in crate::sanitize) fn matches(&self, name: &[u8]) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => {
                name.len() >= prefix.len()
                    && name[..prefix.len()].eq_ignore_ascii_case(prefix.as_bytes())
                    && !holds_credentials(name)
            }
            None => name.eq_ignore_ascii_case(self.0.as_bytes()),
        }
    }
}

impl TryFrom<String> for KeptHeader {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let fixed = name.strip_suffix('*').unwrap_or(&name);
        if !is_name(fixed) {
            return Err(format!(
                "`{name}` is not a header name (a `*` may stand at its end, behind a prefix)"
            ));
        }
        if holds_credentials(name.as_bytes()) {
            return Err(format!(
                "`{name}` holds credentials, which never survive; where only their equality matters, list it under `tokenize`"
            ));
        }
        Ok(Self(name.to_ascii_lowercase()))
    }
}

impl From<KeptHeader> for String {
    fn from(name: KeptHeader) -> String {
        name.0
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&b))
}

fn holds_credentials(name: &[u8]) -> bool {
    CREDENTIALS.iter().any(|c| name.eq_ignore_ascii_case(c.as_bytes()))
}
