use proptest::prelude::*;

use super::Kind::Secret;
use super::*;

fn found(text: &str) -> Vec<(Class, &str)> {
    let announced = Announced::new();
    let mut findings = Vec::new();
    announced.find_numbers(text, &mut findings);
    announced.find_secrets(text, &mut findings);
    findings.iter().map(|f| (f.class, &text[f.start..f.end])).collect()
}

#[test]
fn the_words_are_in_order() {
    assert!(NO_SECRETS.is_sorted());
    for (word, _) in NUMBER_WORDS.iter().chain(SECRET_WORDS) {
        assert_eq!(*word, word.to_ascii_lowercase());
    }
}

/// `word` between `head` and `tail`, in three cases.
fn cases(head: &str, word: &str, tail: &str) -> [String; 3] {
    let mut chars = word.chars();
    let title: String = chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect();
    [word.to_owned(), word.to_ascii_uppercase(), title].map(|word| format!("{head}{word}{tail}"))
}

#[test]
fn the_gates_open_for_every_word() {
    let secrets = Gate::of(secret_words());
    let mut shut = Vec::new();
    for (words, gate) in [(NUMBER_WORDS, &*NUMBERS_GATE), (SECRET_WORDS, &secrets)] {
        for (word, kind) in words {
            for (head, tail) in
                [("", ""), ("my ", ": 1"), ("(", ")"), ("“", "”"), ("\n", "\n"), ("x", "x"), ("ß", "s9")]
            {
                let within = head.chars().any(char::is_alphanumeric);
                let anywhere = matches!(kind, Secret { .. }) || !word.is_ascii();
                if !within || anywhere {
                    shut.extend(cases(head, word, tail).into_iter().filter(|text| !gate.is_open(text)));
                }
            }
        }
    }
    assert!(shut.is_empty(), "{shut:?}");
}

#[test]
fn papers_are_found_behind_their_names() {
    let mut missed = Vec::new();
    for (text, value) in [
        ("my driver's license number is F162823540116, ok?", "F162823540116"),
        ("Driving licence no. MORGA657054SM9IJ", "MORGA657054SM9IJ"),
        ("Driver’s License: D123-4567-8901", "D123-4567-8901"),
        ("license 2270-66-1551 expired", "2270-66-1551"),
        ("passport no. X1234567 was stolen", "X1234567"),
        ("Meine Reisepassnummer lautet C01X00T47.", "C01X00T47"),
        ("numéro de passeport : 12AB34567", "12AB34567"),
        ("Mi pasaporte es AAA123456", "AAA123456"),
        ("паспорт 4509 123456", "4509 123456"),
        ("X1234567 is my passport number", "X1234567"),
        ("C01X00T47 was my old passport", ""),
    ] {
        let expected: &[(Class, &str)] = if value.is_empty() { &[] } else { &[(Class::License, value)] };
        if found(text) != expected {
            missed.push((text, found(text)));
        }
    }
    assert_eq!(missed, []);
}

#[test]
fn identity_numbers_of_weak_form_are_found_behind_their_names() {
    let mut missed = Vec::new();
    for (text, value) in [
        ("SSN 219099999", "219099999"),
        ("my social security number is 219 09 9999", "219 09 9999"),
        ("Steuer-ID: 86095742719", "86095742719"),
        ("mon numéro de sécurité sociale est 255081416802538", "255081416802538"),
        ("NIF 123456789", "123456789"),
        ("BSN: 111222333", "111222333"),
        ("her NINO is AB 12 34 56 C", "AB 12 34 56 C"),
        ("aadhaar no 234123412346", "234123412346"),
        ("身份证号码：11010519491231002X", "11010519491231002X"),
        ("ИНН 500100732259", "500100732259"),
    ] {
        if found(text) != [(Class::NationalId, value)] {
            missed.push((text, found(text)));
        }
    }
    assert_eq!(missed, []);
}

#[test]
fn accounts_cards_and_codes_are_found_behind_their_names() {
    let mut missed = Vec::new();
    for (text, class, value) in [
        ("routing number 021000021", Class::BankAccount, "021000021"),
        ("account number: 12345678", Class::BankAccount, "12345678"),
        ("sort code 12-34-56", Class::BankAccount, "12-34-56"),
        ("BSB 062-000", Class::BankAccount, "062-000"),
        ("IFSC: HDFC0001234", Class::BankAccount, "HDFC0001234"),
        ("CLABE 032180000118359719", Class::BankAccount, "032180000118359719"),
        ("Kontonummer 532013000", Class::BankAccount, "532013000"),
        ("BIC: DEUTDEFF500", Class::BankAccount, "DEUTDEFF500"),
        ("swift code is COBADEFF.", Class::BankAccount, "COBADEFF"),
        ("card number 1234 5678 9012 3456", Class::Card, "1234 5678 9012 3456"),
        ("my PIN is 4711", Class::Secret, "4711"),
        ("CVV: 123", Class::Secret, "123"),
        ("mac 001B44113AB7", Class::Mac, "001B44113AB7"),
    ] {
        if found(text) != [(class, value)] {
            missed.push((text, found(text)));
        }
    }
    assert_eq!(missed, []);
}

#[test]
fn secrets_are_found_behind_their_names() {
    let mut missed = Vec::new();
    for (text, value) in [
        ("password: hunter2", "hunter2"),
        ("Password is swordfish.", "swordfish"),
        ("pwd=letmein&user=jo", "letmein"),
        ("DB_PASSWORD='s3cr3t!'", "s3cr3t!"),
        ("mysql --password hunter2 -u root", "hunter2"),
        ("mi contraseña es Gato123", "Gato123"),
        ("Mein Passwort lautet Sommer2024!", "Sommer2024"),
        ("пароль: кошка", "кошка"),
        ("secret=abc123", "abc123"),
        ("the token is x7Yq", "x7Yq"),
        ("Authorization: Bearer abc.def-123", "abc.def-123"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("{\"api_key\": \"k-12345\"}", "k-12345"),
        ("<password>hunter2</password>", "hunter2"),
        ("Server=db;User=sa;Password=Pa55w0rd;", "Pa55w0rd"),
        ("log in with password hunter2 please", "hunter2"),
        ("{\\\"password\\\": \\\"hunter2\\\"}", "hunter2"),
    ] {
        if found(text) != [(Class::Secret, value)] {
            missed.push((text, found(text)));
        }
    }
    assert_eq!(missed, []);
}

#[test]
fn words_that_announce_nothing_take_nothing() {
    let mut taken = Vec::new();
    for text in [
        "the password is wrong and I forgot my passport in 2014",
        "the secret is that I love it, my secret sauce, a secret ingredient! :)",
        "secret santa 2011: yay",
        "Taylor Swift sings, a swift and SPEEDING car",
        "token gesture, the bearer of bad news",
        "license to kill 007",
        "account for 50% of 1000000 sales. In 1999 it cost $2000000",
        "my bank account on 2004-01-13",
        "a 24-pin connector, stick a pin in it, 1 card of 52",
        "password required",
    ] {
        if !found(text).is_empty() {
            taken.push((text, found(text)));
        }
    }
    assert_eq!(taken, []);
}

proptest! {
    #[test]
    fn any_text_can_be_searched(text in "(password|license|pin|bic|é|“|:|=| is|\\.| |[A-Z0-9a-z\"'-]){0,30}") {
        let announced = Announced::new();
        let mut findings = Vec::new();
        announced.find_numbers(&text, &mut findings);
        announced.find_secrets(&text, &mut findings);
        for f in findings {
            prop_assert!(f.start < f.end && text.get(f.start..f.end).is_some());
        }
    }
}
