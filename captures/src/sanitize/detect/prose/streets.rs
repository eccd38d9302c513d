//! Streets told by their own form, and the words that announce an address.

use std::sync::LazyLock;

use super::endings::Endings;

/// A street as one word: `Hauptstrasse`, `Nybyvägen`, `Koskikatu`.
pub(super) fn one_word(word: &str) -> bool {
    const ENDINGS: &str = "strasse straße str gasse platz allee damm ufer steig gatan vägen gränd stigen torget plan gata veien \
        vegen gate vei svei vej gade allé stien katu tie kuja polku raitti straat laan weg plein gracht kade \
        dijk singel dreef steeg pad stræti braut gerði vegur tún utca brug markt hof wijk straede stræde \
        bakken parken tänav iela gatve ulitsa ulice weide rade ring";
    static BY_LAST: LazyLock<Endings> = LazyLock::new(|| Endings::of(ENDINGS));
    word.len() >= 6 && BY_LAST.end(word) && word.chars().count() >= 6
}

/// A word or two that say that an address follows.
pub(super) fn cue(two: &str, one: &str) -> bool {
    matches!(
        one,
        "address"
            | "addresses"
            | "adresse"
            | "adres"
            | "adress"
            | "dirección"
            | "direccion"
            | "endereço"
            | "indirizzo"
            | "osoite"
            | "anschrift"
            | "адрес"
            | "cím"
    ) || matches!(
        (two, one),
        (
            "lives"
                | "live"
                | "living"
                | "lived"
                | "reside"
                | "resides"
                | "residing"
                | "stay"
                | "staying"
                | "located"
                | "is"
                | "are"
                | "based"
                | "situated"
                | "arrived"
                | "me"
                | "you"
                | "us"
                | "meet"
                | "delivered"
                | "house"
                | "home"
                | "office"
                | "enter"
                | "off"
                | "pick"
                | "him"
                | "her"
                | "them"
                | "moved"
                | "bus"
                | "stop"
                | "drop"
                | "arrive"
                | "be",
            "at" | "on" | "in" | "to"
        ) | (
            "ship"
                | "shipped"
                | "send"
                | "sent"
                | "deliver"
                | "return"
                | "returned"
                | "mail"
                | "mailed"
                | "address"
                | "move"
                | "forward"
                | "same"
                | "card"
                | "one"
                | "it"
                | "package"
                | "order"
                | "post",
            "to"
        ) | (
            "address" | "addresses" | "adresse",
            "is" | "with" | "was" | "to" | "as" | "for" | "ist" | "est" | "es" | "è"
        ) | ("it" | "its", "is" | "s")
            | ("they", "are")
            | ("corner", "of")
            | ("wohnhaft" | "wohne" | "wohnt", "in")
            | ("vive" | "vivo", "en" | "in")
            | ("habite" | "domicilié", "à" | "au")
    )
}
