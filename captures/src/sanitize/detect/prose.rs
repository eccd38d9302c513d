//! Finds what people write about people: names, addresses, postal codes, dates of birth.
//!
//! Most texts end at a [`glance`]: no capitalised word that could be a name, no name or cue in lower case, no number beside
//! capitals. Others are read into tokens, each with what the [`gazetteer`] knows about it.

use std::cell::RefCell;

use super::Finding;

mod addresses;
mod births;
mod cues;
mod endings;
mod gazetteer;
mod glance;
mod people;
mod postal;
mod streets;
mod tokens;

use addresses::Addresses;
use gazetteer::{Gazetteer, Lowered};
use people::People;
use tokens::Token;

/// Room for tokens that is kept from one text to the next.
const KEPT_TOKENS: usize = 1 << 14;

/// Room for a text in lower case that is kept.
const KEPT_BYTES: usize = 1 << 16;

thread_local! {
    static SCRATCH: RefCell<(Lowered, Vec<Token>)> = RefCell::default();
}

/// Adds what is found in `text` to `findings`.
pub(super) fn find(text: &str, findings: &mut Vec<Finding>) {
    let gazetteer = gazetteer::gazetteer();
    SCRATCH.with_borrow_mut(|(lowered, tokens)| {
        lowered.read(text);
        if glance::is_worth_reading(text, lowered, gazetteer) {
            look_closer(text, lowered, gazetteer, tokens, findings);
        }
        tokens.clear();
        tokens.shrink_to(KEPT_TOKENS);
        lowered.shrink_to(KEPT_BYTES);
    });
}

/// Reads a text that may hold something.
fn look_closer(
    text: &str,
    lowered: &Lowered,
    gazetteer: &Gazetteer,
    tokens: &mut Vec<Token>,
    findings: &mut Vec<Finding>,
) {
    let overview = tokens::read(text, lowered, gazetteer, tokens);
    let caseless = !overview.capitals;
    if overview.capitals || overview.names {
        People { text, tokens, caseless, cued: overview.names }.find(findings);
    }
    if overview.digits {
        Addresses { text, tokens, caseless }.find(findings);
        postal::find(text, tokens, findings);
        births::find(text, tokens, findings);
    }
}

#[cfg(test)]
mod tests;
