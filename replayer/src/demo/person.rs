//! People who do not exist: names, cards, accounts and credentials for the demo's traffic.
//!
//! Everything is drawn from a seed and valid in form (check digits included), so that a sanitizer has real work. Cards
//! and accounts belong to nobody by construction of their digits at random; mail goes to `example.com` and phones lie
//! in the range that is reserved for fiction.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

const FIRST_NAMES: [&str; 12] = [
    "Maria", "James", "Aisha", "Robert", "Linda", "Daniel", "Sofia", "Thomas", "Laura", "Michael", "Anna",
    "David",
];
const LAST_NAMES: [&str; 12] = [
    "Johnson", "Garcia", "Miller", "Schmidt", "Rossi", "Martin", "Novak", "Andersen", "Walker", "Moreau",
    "Silva", "Clark",
];
const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A made-up person.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person {
    first: &'static str,
    last: &'static str,
}

/// What a client sends to say who it is; all of it made up.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    /// `Bearer` and a JSON web token.
    pub(super) authorization: String,
    /// A key of the service.
    pub(super) api_key: String,
    /// A session.
    pub(super) cookie: String,
}

// === impl Person ===

impl Person {
    pub(super) fn draw(rng: &mut StdRng) -> Person {
        let mut pick = |names: &[&'static str; 12]| names.choose(rng).copied().unwrap_or("Maria");
        Person { first: pick(&FIRST_NAMES), last: pick(&LAST_NAMES) }
    }

    pub(super) fn name(&self) -> String {
        format!("{} {}", self.first, self.last)
    }

    pub(super) fn email(&self, rng: &mut StdRng) -> String {
        let number: u8 = rng.random_range(10..100);
        format!("{}.{}{number}@example.com", self.first, self.last).to_lowercase()
    }
}

// === impl Credentials ===

impl Credentials {
    pub(super) fn draw(rng: &mut StdRng) -> Credentials {
        // The head of a token is the same for all of one issuer: {"alg":"HS256","typ":"JWT"}.
        let (claims, signature) = (base64_url(rng, 96), base64_url(rng, 43));
        Credentials {
            authorization: format!("Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ{claims}.{signature}"),
            api_key: base64_url(rng, 32),
            cookie: format!("session={}; theme=dark", base64_url(rng, 40)),
        }
    }
}

/// A card number that passes the Luhn check, in groups of four.
pub(super) fn card(rng: &mut StdRng) -> String {
    let mut digits = vec![4];
    digits.extend((0..14).map(|_| rng.random_range(0..10)));
    // From the right, every second digit counts double; the check digit itself does not.
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| if place % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { *digit })
        .sum();
    digits.push((10 - sum % 10) % 10);
    let groups: Vec<String> = digits.chunks(4).map(decimal).collect();
    groups.join(" ")
}

/// A German account number whose check digits fit (mod 97).
pub(super) fn iban(rng: &mut StdRng) -> String {
    let digits: Vec<u32> = (0..18).map(|_| rng.random_range(0..10)).collect();
    // The country and two zeros go behind the account, letters as numbers: D is 13, E is 14.
    let checked = digits.iter().chain(&[1, 3, 1, 4, 0, 0]).fold(0, |rest, digit| (rest * 10 + digit) % 97);
    format!("DE{:02}{}", 98 - checked, decimal(&digits))
}

/// A phone number from the range reserved for fiction.
pub(super) fn phone(rng: &mut StdRng) -> String {
    let area = ["202", "312", "415", "617"].choose(rng).copied().unwrap_or("202");
    format!("({area}) 555-01{:02}", rng.random_range(0..100))
}

/// A random token of `length` characters.
pub(super) fn base64_url(rng: &mut StdRng, length: usize) -> String {
    (0..length).map(|_| char::from(BASE64_URL[rng.random_range(0..BASE64_URL.len())])).collect()
}

fn decimal(digits: &[u32]) -> String {
    digits.iter().filter_map(|digit| char::from_digit(*digit, 10)).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn cards_pass_the_luhn_check() {
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..200 {
            let card = card(&mut rng);
            let digits: Vec<u32> = card.chars().filter_map(|c| c.to_digit(10)).collect();
            let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
            let luhn: u32 =
                digits.iter().rev().enumerate().map(|(i, d)| if i % 2 == 1 { doubled(*d) } else { *d }).sum();
            assert_eq!((digits.len(), luhn % 10), (16, 0), "{card}");
        }
    }

    #[test]
    fn accounts_pass_the_check_of_their_standard() {
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..200 {
            let iban = iban(&mut rng);
            let (head, account) = iban.split_at(4);
            let value = |c: char| c.to_digit(36).map(|v| v.to_string()).unwrap();
            let number: String = account.chars().chain(head.chars()).map(value).collect();
            let rest = number.chars().fold(0, |rest, c| (rest * 10 + c.to_digit(10).unwrap()) % 97);
            assert_eq!((iban.len(), rest), (22, 1), "{iban}");
        }
    }
}
