use proptest::prelude::*;

use super::*;

fn found(text: &str) -> Vec<&str> {
    let mut findings = Vec::new();
    find(text, &mut findings);
    findings.iter().map(|f| &text[f.start..f.end]).collect()
}

#[test]
fn numbers_of_many_countries_are_found_by_their_form() {
    let mut missed = Vec::new();
    for id in [
        "AB123456C",
        "ab 12 34 56 c",
        "046 454 286",
        "26 954 371 827",
        "255081416802538",
        "2 55 08 14 168 025 38",
        "12345678Z",
        "12.345.678-Z",
        "X1234567L",
        "RSSMRA85T10A562S",
        "85.07.30-033.28",
        "44051401359",
        "811228-9874",
        "19811228-9874",
        "131052-308T",
        "131052A308T",
        "070761-4285",
        "111.444.777-35",
        "11144477735",
        "11.222.333/0001-81",
        "2341 2341 2346",
        "ABCPD1234E",
        "11010519491231002X",
        "850701-1234567",
        "S1234567D",
        "8001015009087",
        "HEGG560427MVZRRL04",
        "VECJ880326XXX",
        "10000000146",
        "12.345.678-5",
        "A123456789",
        "A123456(3)",
        "1234567T",
        "756.9217.0769.85",
        "37605030299",
        "51 824 753 556",
        "1-1017-00230-70-8",
        "20-12345678-6",
        "736028/5163",
    ] {
        for text in [id.to_owned(), format!("it is {id}, thanks"), format!("«{id}».")] {
            if found(&text) != [id] {
                missed.push((text.clone(), found(&text).concat()));
            }
        }
    }
    assert_eq!(missed, []);
}

#[test]
fn what_fails_its_check_or_is_part_of_more_stays() {
    for text in [
        "AB123456E",
        "GB123456A",
        "12345678A",
        "11144477736",
        "111.111.111-11",
        "811228-9873",
        "999999-1234",
        "2341 2341 2345",
        "110105194912310021",
        "S1234567E",
        "12345678Z9",
        "x12345678Z",
        "$11144477735",
        "2001-01-01 and 1/2/2003 at 10:15, 100,000,000",
        "model WX12345678Q-77",
        "the last 1000 of 20000000 pieces",
    ] {
        assert_eq!(found(text), [""; 0], "in {text:?}");
    }
}

#[test]
fn every_form_can_be_redrawn() {
    let mut random = 1u32;
    let mut draw = |limit: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % limit
    };
    for (class, form) in
        FORMS.iter().map(|f| (Class::NationalId, f)).chain(BANK_FORMS.iter().map(|f| (Class::BankAccount, f)))
    {
        let mut start: Vec<u8> = form
            .slots()
            .flat_map(|slot| match slot {
                Slot::Month | Slot::Day => vec![b'0', b'1'],
                Slot::Letter | Slot::CheckLetter => vec![b'A'],
                Slot::Set(set) => members(set).take(1).collect(),
                _ => vec![b'1'],
            })
            .collect();
        let valid = (0..1000).any(|_| {
            form.fill(&mut start, &mut draw);
            form.settle(&mut start)
        });
        assert!(valid, "{} has no valid number", form.shape);
        for _ in 0..50 {
            let next = redraw(class, &start, &mut draw).unwrap();
            assert!(is_valid(&next), "{}: {}", form.shape, String::from_utf8_lossy(&next));
            assert_ne!(next, start);
            assert!(next.iter().zip(&start).all(|(a, b)| a.is_ascii_digit() == b.is_ascii_digit()));
        }
        for spelling in form.spellings {
            assert_eq!(spelling.bytes().filter(|b| *b == b'x').count(), start.len(), "{}", form.shape);
        }
    }
}

proptest! {
    #[test]
    fn any_text_can_be_searched(text in "[A-Z0-9 ./()é+-]{0,60}") {
        find(&text, &mut Vec::new());
    }

    #[test]
    fn any_characters_can_be_redrawn(chars in "[A-Z0-9]{0,20}", seed in any::<u32>()) {
        let _ = redraw(Class::BankAccount, chars.as_bytes(), |limit| seed % limit);
    }
}

#[test]
fn no_form_that_needs_no_telling_word_is_shorter_than_what_is_looked_at() {
    let shortest = SPELLED.iter().position(|forms| !forms.is_empty());
    assert_eq!(shortest, Some(FEWEST_CHARS));
    assert_eq!(SPELLED.iter().flatten().count(), FORMS.iter().filter(|f| !f.spellings.is_empty()).count());
}
