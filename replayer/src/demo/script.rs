//! What the demo's clients say and when: real arrivals, real texts, made-up people.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use understudy_captures::samples;

use super::person::{self, Credentials, Person};

/// The service refuses longer texts, and its clients know.
const LONGEST_TEXT: usize = 512;
/// One text in so many is a sentence with made-up personal data.
const PERSONAL_EVERY: usize = 16;
/// One text in so many is a review whose author says how to be reached or paid.
const CONTACT_EVERY: usize = 33;

/// A request of the demo's traffic.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// After the first request, as recorded in production.
    pub(super) offset: Duration,
    /// What is sent as `text`.
    pub(super) text: String,
    /// Whether the text holds made-up personal data.
    pub(super) personal: bool,
    /// Index in [`Script::clients`].
    pub(super) client: usize,
}

/// All traffic of one demo; the same each time.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// In order of their offsets.
    pub(super) lines: Vec<Line>,
    /// Who sends.
    pub(super) clients: Vec<Client>,
}

/// A client program and what it sends with each request.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) credentials: Credentials,
    pub(super) user_agent: &'static str,
}

// === impl Script ===

impl Script {
    /// Writes the script.
    pub(super) fn write(seed: u64) -> Script {
        const USER_AGENTS: [&str; 3] = ["kubesentiment-sdk/1.0.0", "python-httpx/0.27.2", "okhttp/4.12.0"];
        let mut rng = StdRng::seed_from_u64(seed);
        let clients = (0..40)
            .map(|at| Client {
                credentials: Credentials::draw(&mut rng),
                user_agent: USER_AGENTS[at % USER_AGENTS.len()],
            })
            .collect::<Vec<_>>();
        let mut texts: Vec<&str> = samples::texts().map(|text| text.text).filter(|text| fits(text)).collect();
        texts.shuffle(&mut rng);
        let mut personal: Vec<String> =
            samples::pii_sentences().map(|sentence| sentence.text).filter(|text| fits(text)).collect();
        personal.shuffle(&mut rng);
        let (mut texts, mut personal) = (texts.into_iter().cycle(), personal.into_iter().cycle());
        let lines = samples::arrivals()
            .enumerate()
            .filter_map(|(at, arrival)| {
                let with_contact = at % CONTACT_EVERY == CONTACT_EVERY - 1;
                let with_person = at % PERSONAL_EVERY == PERSONAL_EVERY - 1;
                let text = match (with_contact, with_person) {
                    (true, _) => with_contact_details(texts.next()?, &mut rng),
                    (false, true) => personal.next()?,
                    (false, false) => texts.next()?.to_owned(),
                };
                Some(Line {
                    offset: arrival.offset,
                    text,
                    personal: with_contact || with_person,
                    client: rng.random_range(0..clients.len()),
                })
            })
            .collect();
        Script { lines, clients }
    }
}

fn fits(text: &str) -> bool {
    text.chars().count() <= LONGEST_TEXT
}

/// `text` and how its made-up author can be reached or paid.
fn with_contact_details(text: &str, rng: &mut StdRng) -> String {
    type Detail = fn(&Person, &mut StdRng) -> String;
    const DETAILS: [Detail; 4] = [
        |person, rng| format!("Please refund my card {}. {}", person::card(rng), person.name()),
        |person, rng| format!("Send the money back to {}, {}.", person::iban(rng), person.name()),
        |person, rng| format!("Write to me at {}.", person.email(rng)),
        |person, rng| format!("Call me on {} and ask for {}.", person::phone(rng), person.name()),
    ];
    let person = Person::draw(rng);
    let detail = DETAILS.choose(rng).map(|detail| detail(&person, rng)).unwrap_or_default();
    let room = LONGEST_TEXT.saturating_sub(detail.chars().count() + 1);
    let start: String = text.chars().take(room).collect();
    format!("{start} {detail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_the_same_each_time_and_follows_real_arrivals() {
        let (once, again) = (Script::write(1), Script::write(1));
        assert_eq!(once.lines.len(), 2500);
        for (line, same) in once.lines.iter().zip(&again.lines) {
            assert_eq!((line.offset, &line.text, line.client), (same.offset, &same.text, same.client));
        }
        assert!(once.lines.windows(2).all(|pair| pair[0].offset <= pair[1].offset));
        assert_ne!(Script::write(2).lines[0].text, once.lines[0].text);
    }

    #[test]
    fn a_tenth_of_the_texts_is_personal_and_none_is_too_long() {
        let script = Script::write(1);
        let personal = script.lines.iter().filter(|line| line.personal).count();
        assert!((200..300).contains(&personal), "{personal}");
        assert!(script.lines.iter().all(|line| fits(&line.text) && !line.text.trim().is_empty()));
        let mut texts: Vec<&str> = script.lines.iter().map(|line| line.text.as_str()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert!(texts.len() > 2000, "{} distinct texts", texts.len());
    }
}
