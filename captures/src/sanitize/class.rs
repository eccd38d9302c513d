//! What the detectors look for.

use serde::{Deserialize, Serialize};

/// A kind of personal or secret data. The order is the precedence where findings overlap: what can be told with more
/// certainty comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A PEM or PGP private key block.
    PrivateKey,
    /// A JSON web token.
    Jwt,
    /// A key with the prefix of a well-known issuer (AWS, GitHub, Slack, Stripe, ...).
    ApiKey,
    /// A URL or a bare domain.
    Url,
    /// An e-mail address.
    Email,
    /// A bank account number (ISO 13616), checked by mod 97.
    Iban,
    /// A payment card number: issuer prefix, length and Luhn.
    Card,
    /// A US social security or taxpayer number.
    Ssn,
    /// An identity or tax number of another country, by its check digits or behind a telling word.
    NationalId,
    /// A bank account, routing or sort code that is no IBAN.
    BankAccount,
    /// A driver's licence or passport number behind a telling word.
    License,
    /// A password, code or key behind a telling word.
    Secret,
    /// An Ethernet address.
    Mac,
    /// An IP address, version 4 or 6.
    Ip,
    /// A telephone number.
    Phone,
    /// A date of birth.
    BirthDate,
    /// A street address, or a part of one.
    Address,
    /// A postal code.
    PostalCode,
    /// A random-looking token of at least 20 characters, or a UUID.
    Token,
    /// The name of a person.
    Person,
}

impl Class {
    /// Every class, in order of precedence.
    pub const ALL: [Class; 20] = [
        Class::PrivateKey,
        Class::Jwt,
        Class::ApiKey,
        Class::Url,
        Class::Email,
        Class::Iban,
        Class::Card,
        Class::Ssn,
        Class::NationalId,
        Class::BankAccount,
        Class::License,
        Class::Secret,
        Class::Mac,
        Class::Ip,
        Class::Phone,
        Class::BirthDate,
        Class::Address,
        Class::PostalCode,
        Class::Token,
        Class::Person,
    ];

    /// The name used in policies, captures and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::PrivateKey => "private_key",
            Self::Jwt => "jwt",
            Self::ApiKey => "api_key",
            Self::Secret => "secret",
            Self::Url => "url",
            Self::Email => "email",
            Self::Iban => "iban",
            Self::Card => "card",
            Self::Ssn => "ssn",
            Self::NationalId => "national_id",
            Self::BankAccount => "bank_account",
            Self::License => "license",
            Self::Mac => "mac",
            Self::Ip => "ip",
            Self::Phone => "phone",
            Self::BirthDate => "birth_date",
            Self::Address => "address",
            Self::PostalCode => "postal_code",
            Self::Token => "token",
            Self::Person => "person",
        }
    }
}
