use proptest::prelude::*;

use crate::sanitize::class::Class;
use crate::sanitize::detect::{Detectors, Scope};

fn found(text: &str, class: Class) -> Vec<&str> {
    let mut findings = Vec::new();
    Detectors::all().scan(text, Scope::Prose, &mut findings);
    findings.iter().filter(|f| f.class == class).map(|f| &text[f.start..f.end]).collect()
}

#[track_caller]
fn person(text: &str, names: &[&str]) {
    assert_eq!(found(text, Class::Person), names, "in {text:?}");
}

#[track_caller]
fn address(text: &str, address: &str) {
    assert_eq!(found(text, Class::Address), [address], "in {text:?}");
}

#[test]
fn names_that_lists_know_are_found_anywhere() {
    person("Yesterday I met Katarzyna Wójcik at the station.", &["Katarzyna Wójcik"]);
    person("The report by Jean-Pierre O'Connor is late", &["Jean-Pierre O'Connor"]);
    person("Ludwig van Beethoven wrote nine of them", &["Ludwig van Beethoven"]);
    person("ask Giulia's brother", &["Giulia"]);
    person("JOHN SMITH DID NOT SIGN", &["JOHN SMITH"]);
    person("вчера Екатерина пришла", &["Екатерина"]);
}

#[test]
fn unknown_names_are_found_where_the_sentence_says_so() {
    person("My name is Zorblat", &["Zorblat"]);
    person("please tell Dr. Kvexel about it", &["Kvexel"]);
    person("Name: Qorvax Tislem\nPhone: none", &["Qorvax Tislem"]);
    person("\"It works\", says Brunkovska.", &["Brunkovska"]);
    person("her maiden name is zorblatova", &["zorblatova"]);
}

#[test]
fn names_are_found_without_capitals() {
    person("the invoice of patricia desrosiers is open", &["patricia desrosiers"]);
}

#[test]
fn a_name_is_found_again_where_it_stands_alone() {
    person("I read Ilse Brunkovska twice. Early Brunkovska is better.", &["Ilse Brunkovska", "Brunkovska"]);
}

#[test]
fn words_that_are_names_need_more_than_a_capital() {
    person("Will it rain in May? Mark my words. Rose petals.", &[]);
    person("I met Will Johnson and Rose Meyer", &["Will Johnson", "Rose Meyer"]);
}

#[test]
fn brands_places_and_emphasis_are_no_names() {
    for text in [
        "Love the new iPhone and my Canon camera",
        "San Diego and New York are far from Paris",
        "WHAT A GREAT DAY, SO HAPPY",
        "Watching The Weather Channel on Monday with #Justin",
        "Sooooo Yummy! Yay!",
        "Great British Bake Off is on BBC",
    ] {
        person(text, &[]);
    }
}

#[test]
fn streets_are_found_in_the_order_of_many_countries() {
    address("we are at 12 Baker Street now", "12 Baker Street");
    address("komm zur Hauptstraße 5 bitte", "Hauptstraße 5");
    address("moved to Rua do Arenque 1634, Goiânia", "Rua do Arenque 1634, Goiânia");
    address("livraison: 31 rue de la République, 69001 Lyon", "31 rue de la République, 69001 Lyon");
    address("she lives at 92597 Jahu 80", "92597 Jahu 80");
    address("the bus stops at ul. Miła 53 twice", "ul. Miła 53");
}

#[test]
fn an_address_takes_along_what_belongs_to_it() {
    let block = "3 Elm Avenue Apt. 12\nSpringfield, IL 62704\nUSA";
    address(&format!("Ship it to {block}\nPhone: none"), block);
    let military = "PSC 4095, Box 8316\nAPO AE 85103";
    address(&format!("The address is {military}. It is far."), military);
    address("meet me at 7 Hill Road. We will eat there", "7 Hill Road");
}

#[test]
fn numbers_beside_capitals_are_not_yet_addresses() {
    for text in [
        "I ate 5 Guys fries in 2014",
        "On 12 March 2013 we left",
        "Top 10 Places to See",
        "iPhone 4 is 2 Good",
    ] {
        assert_eq!(found(text, Class::Address), [""; 0], "in {text:?}");
    }
}

#[test]
fn postal_codes_are_found_by_cue_and_by_form() {
    for (text, code) in [
        ("My zip code is 2371", "2371"),
        ("ZIP: 7412 SL", "7412 SL"),
        ("the postal code should be 75534-030", "75534-030"),
        ("somewhere near SW1A 1AA", "SW1A 1AA"),
        ("Ottawa K1A 0B1", "K1A 0B1"),
        ("Beverly Hills, CA 90210", "90210"),
        ("10115 Berlin", "10115"),
        ("support Foo in Överturingen 840 24 soon", "840 24"),
    ] {
        assert_eq!(found(text, Class::PostalCode), [code], "in {text:?}");
    }
    assert_eq!(found("I saw 12345 stars and 2014 of them in London 2012", Class::PostalCode), [""; 0]);
}

#[test]
fn dates_of_birth_need_a_word_of_birth() {
    for date in ["8/12/1991", "1991-12-08", "8.12.91", "12 May 1990", "May 12th, 1990", "12 de mayo de 1990"]
    {
        for text in [format!("I was born on {date} there"), format!("DOB: {date}"), format!("geb. {date}")] {
            assert_eq!(found(&text, Class::BirthDate), [date], "in {text:?}");
        }
    }
    assert_eq!(found("the invoice of 8/12/1991 is open", Class::BirthDate), [""; 0]);
}

#[test]
fn values_are_not_read_as_prose() {
    let mut findings = Vec::new();
    Detectors::all().scan("Katarzyna Wójcik, 12 Baker Street", Scope::Value, &mut findings);
    assert_eq!(findings, []);
}

proptest! {
    #[test]
    fn findings_are_ordered_disjoint_and_on_character_boundaries(
        text in r"(Anna |Smith|J\. |name is |born |zip |12|Street|, |\n|née|Müller|'s|\. |the |rue |ab1 |Straße|名前|[ -~]){0,40}"
    ) {
        let mut findings = Vec::new();
        Detectors::all().scan(&text, Scope::Prose, &mut findings);
        let mut last = 0;
        for f in &findings {
            prop_assert!(last <= f.start && f.start < f.end && f.end <= text.len());
            prop_assert!(text.is_char_boundary(f.start) && text.is_char_boundary(f.end));
            last = f.end;
        }
    }
}
