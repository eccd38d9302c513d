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
use people::People;
use tokens::Token;

/// Room for tokens that is kept from one text to the next.
const KEPT_TOKENS: usize = 1 << 14;

thread_local! {
    static TOKENS: RefCell<Vec<Token>> = const { RefCell::new(Vec::new()) };
}

/// Adds what is found in `text` to `findings`.
pub(super) fn find(text: &str, findings: &mut Vec<Finding>) {
    let gazetteer = gazetteer::gazetteer();
    if !glance::is_worth_reading(text, gazetteer) {
        return;
    }
    TOKENS.with_borrow_mut(|tokens| {
        let overview = tokens::read(text, gazetteer, tokens);
        let caseless = !overview.capitals;
        if overview.capitals || overview.names {
            People { text, tokens, caseless, cued: overview.names }.find(findings);
        }
        if overview.digits {
            Addresses { text, tokens, caseless }.find(findings);
            postal::find(text, tokens, findings);
            births::find(text, tokens, findings);
        }
        tokens.clear();
        tokens.shrink_to(KEPT_TOKENS);
    });
}

#[cfg(test)]
mod tests;
