//! What the detectors look for.

use serde::{Deserialize, Serialize};

/// A kind of structured personal or secret data. The order is the precedence where findings overlap: what can be told
/// with more certainty comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A PEM or PGP private key block.
    PrivateKey,
    /// A JSON web token.
    Jwt,
    /// A key with the prefix of a well-known issuer (AWS, GitHub, Slack, Stripe, ...).
    ApiKey,
    /// Credentials, query and fragment of a URL.
    Url,
    /// An e-mail address.
    Email,
    /// A bank account number (ISO 13616), checked by mod 97.
    Iban,
    /// A payment card number: issuer prefix, length and Luhn.
    Card,
    /// A US social security or taxpayer number.
    Ssn,
    /// An Ethernet address.
    Mac,
    /// An IP address, version 4 or 6.
    Ip,
    /// A telephone number.
    Phone,
    /// A random-looking token of at least 20 characters, or a UUID.
    Token,
}

impl Class {
    /// Every class, in order of precedence.
    pub const ALL: [Class; 12] = [
        Class::PrivateKey,
        Class::Jwt,
        Class::ApiKey,
        Class::Url,
        Class::Email,
        Class::Iban,
        Class::Card,
        Class::Ssn,
        Class::Mac,
        Class::Ip,
        Class::Phone,
        Class::Token,
    ];

    /// The name used in policies, captures and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::PrivateKey => "private_key",
            Self::Jwt => "jwt",
            Self::ApiKey => "api_key",
            Self::Url => "url",
            Self::Email => "email",
            Self::Iban => "iban",
            Self::Card => "card",
            Self::Ssn => "ssn",
            Self::Mac => "mac",
            Self::Ip => "ip",
            Self::Phone => "phone",
            Self::Token => "token",
        }
    }
}
