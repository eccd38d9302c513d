//! Telephone numbers (ITU-T E.123 and E.164, national numbering plans).
//!
//! International and common national forms are believed as they stand. Shorter or rarer groupings are believed when no
//! amount, year or list looks like them, and any grouping behind a word such as "call"; never behind "order" or "model".

use super::numbers::Window;

/// Words that say that a telephone number follows, and how many bytes before it they are looked for.
const TELLING: &[&str] = &[
    "phone",
    "call",
    "tel",
    "mobil",
    "cell",
    "fax",
    "dial",
    "whatsapp",
    "contact",
    "reach",
    "ring",
    "text me",
    "sms",
    "telefon",
    "teléfono",
    "téléphone",
    "handy",
    "móvil",
    "celular",
    "cellulare",
    "portable",
    "numéro",
    "número",
    "numero",
    "nummer",
    "my number",
    "his number",
    "her number",
    "the number",
    "number is",
    "us at",
    "me at",
    "me on",
    "rufnummer",
    "gsm",
    "pager",
    "hotline",
    "puhelin",
    "puh.",
    "tlf",
    "tfno",
    "телефон",
    "тел",
    "电话",
    "電話",
    "전화",
];
const TELLING_BYTES: usize = 40;

/// Words before numbers of another kind.
const OTHER: &[&str] = &[
    "order",
    "invoice",
    "tracking",
    "ticket",
    "model",
    "serial",
    "part",
    "item",
    "version",
    "isbn",
    "issn",
    "upc",
    "ean",
    "sku",
    "asin",
    "ref",
    "reference",
    "case",
    "confirmation",
    "flight",
    "page",
    "pages",
    "pp",
    "room",
    "build",
    "id",
];

/// Groupings of numbers without trunk zero, by length of the groups; the least first digit.
const GROUPINGS: &[(&[usize], u8)] = &[
    (&[3, 4], b'2'),
    (&[4, 4], b'2'),
    (&[3, 2, 2], b'2'),
    (&[3, 2, 3], b'2'),
    (&[3, 3, 2], b'2'),
    (&[2, 2, 2, 2], b'2'),
    (&[2, 3, 2, 2], b'2'),
    (&[3, 2, 2, 2], b'5'),
    (&[3, 3, 3], b'5'),
    (&[2, 3, 4], b'2'),
    (&[1, 4, 4], b'2'),
    (&[2, 4, 4], b'1'),
    (&[2, 5, 4], b'1'),
    (&[2, 3, 3, 4], b'1'),
    (&[2, 2, 3, 3], b'2'),
    (&[3, 3, 2, 2], b'2'),
    (&[3, 4, 4], b'1'),
    (&[3, 8], b'1'),
    (&[3, 7], b'2'),
    (&[5, 5], b'6'),
    (&[4, 3, 3], b'1'),
    (&[4, 3, 4], b'1'),
    (&[5, 3, 3], b'6'),
    (&[5, 6], b'2'),
    (&[1, 3, 3, 2, 2], b'7'),
];

/// How many leading digits say where a telephone number is dialled to rather than whose it is.
pub(in crate::sanitize) fn dialling_prefix_len(text: &str, digits: &[u8]) -> usize {
    let kept = if text.contains('+') {
        country_code_len(digits)
    } else if digits.starts_with(b"00") {
        2 + country_code_len(&digits[2..])
    } else {
        usize::from(digits.len() == 11 && digits[0] == b'1' || digits.starts_with(b"0"))
    };
    kept.min(digits.len())
}

/// ITU-T E.164: one digit for the zones 1 and 7, two for those listed, three for all others.
fn country_code_len(digits: &[u8]) -> usize {
    match digits {
        [b'1' | b'7', ..] => 1,
        [b'2', b'0' | b'7', ..]
        | [b'3', b'0'..=b'4' | b'6' | b'9', ..]
        | [b'4', b'0' | b'1' | b'3'..=b'9', ..]
        | [b'5', b'1'..=b'8', ..]
        | [b'6', b'0'..=b'6', ..]
        | [b'8', b'1' | b'2' | b'4' | b'6', ..]
        | [b'9', b'0'..=b'5' | b'8', ..] => 2,
        _ => 3,
    }
}

/// A North American number without separators (area and exchange begin with 2 to 9), or a mobile number of India or China.
pub(super) fn is_bare(digits: &[u8]) -> bool {
    let national = match digits {
        [b'1', b'3'..=b'9', ..] if digits.len() == 11 => return true,
        [b'1', rest @ ..] if rest.len() == 10 => rest,
        _ => digits,
    };
    national.len() == 10
        && (b'2'..=b'9').contains(&national[0])
        && ((b'2'..=b'9').contains(&national[3]) || national[0] >= b'6')
}

/// The length of `x123`, ` ext. 123` and the like at the start of `rest`; 0 when there is no extension.
pub(super) fn extension_len(rest: &str) -> usize {
    let word = rest.trim_start_matches([' ', ',']);
    let number = ["extension", "ext.", "ext", "extn", "x", "#"].iter().find_map(|mark| {
        let head = word.get(..mark.len())?;
        head.eq_ignore_ascii_case(mark).then(|| word[mark.len()..].trim_start_matches([' ', ':']))
    });
    let Some(number) = number else { return 0 };
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    let ends = !number[digits..].starts_with(|c: char| c.is_alphanumeric());
    if (1..=6).contains(&digits) && ends { rest.len() - number.len() + digits } else { 0 }
}

// === impl Window ===

impl Window<'_> {
    /// Whether this is a telephone number.
    pub(super) fn is_phone(&self) -> bool {
        if self.digits.len() < 7 || self.has_double_separator() || self.is_inside() {
            return false;
        }
        if self.is_international() {
            return true;
        }
        if self.touches('.')
            || self.touches('-')
            || self.touches('/')
            || self.has_few_digits()
            || self.is_other()
        {
            return false;
        }
        self.is_north_american() || self.is_national() || self.is_grouped() || self.is_announced()
    }

    /// Part of a word, a time, an amount.
    fn is_inside(&self) -> bool {
        let (previous, next) = (self.previous(), self.next());
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let joined = |c: Option<char>| matches!(c, Some(':' | ','));
        previous.is_some_and(|c| word(c) || matches!(c, '$' | '€' | '£' | '¥' | '₹' | '#' | '<'))
            || next.is_some_and(|c| word(c) && !matches!(c, 'x' | 'e') || matches!(c, '%' | '°' | '€' | '$'))
            || joined(previous) && digit(self.text[..self.start() - 1].chars().next_back())
            || joined(next) && digit(self.text[self.end() + 1..].chars().next())
    }

    /// A plus sign, or what is dialled for it in Europe and Asia (`00`) and North America (`011`).
    fn is_international(&self) -> bool {
        let sum = self.text[..self.start()]
            .strip_suffix('+')
            .is_some_and(|head| head.ends_with(|c: char| c.is_ascii_digit()));
        match self.previous() {
            Some('+') => !sum && (7..=17).contains(&self.digits.len()),
            _ => {
                let dialled = self.digits.starts_with(b"00")
                    || self.digits.starts_with(b"011") && self.groups[0].len() == 3;
                dialled && (11..=18).contains(&self.digits.len())
            }
        }
    }

    /// Two separators in a row are fine around parentheses only.
    fn has_double_separator(&self) -> bool {
        self.groups.windows(2).any(|pair| {
            let between = &self.text[pair[0].end..pair[1].start];
            between.chars().nth(1).is_some()
                && !between.contains(['(', ')'])
                && !matches!(between, " - " | " / " | " – " | " . ")
        })
    }

    /// `3333333333` and `1000 0000` are said for other reasons.
    fn has_few_digits(&self) -> bool {
        let seen = self.digits.iter().fold(0u16, |seen, d| seen | 1 << (d - b'0'));
        seen.count_ones() < 3
    }

    /// The word before says that the number is none of a telephone.
    fn is_other(&self) -> bool {
        let head = self.text[..self.start()].trim_end_matches([' ', ':', '#', '.', '-', '(']);
        let mut words = head.rsplit(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty()).take(2);
        let other = |word: &str| OTHER.iter().any(|o| word.eq_ignore_ascii_case(o));
        match words.next() {
            Some(last) if ["number", "no", "nr", "is"].iter().any(|n| last.eq_ignore_ascii_case(n)) => {
                words.next().is_some_and(other)
            }
            Some(last) => other(last),
            None => false,
        }
    }

    /// `212-555-0123`, `(212) 555-0123`, `1.212.555.0123`, `2125550123`.
    fn is_north_american(&self) -> bool {
        match self.groups.len() {
            // Seconds since 1970 have ten digits, too, and begin with a one.
            1 => {
                self.digits.len() == 10 && self.digits[0] >= b'2'
                    || self.digits.len() == 11 && is_bare(self.digits)
            }
            2 => self.has_lens(&[3, 7]) && self.opened(0) || self.has_lens(&[6, 4]) && is_bare(self.digits),
            3 => self.has_lens(&[3, 3, 4]),
            4 => {
                self.has_lens(&[1, 3, 3, 4]) && self.digits[0] == b'1'
                    || self.has_lens(&[3, 3, 3, 4]) && self.digits[0] == b'0'
            }
            _ => false,
        }
    }

    /// A trunk zero, or an area code in parentheses: `020 7946 0958`, `(030) 1234567`, `01 23 45 67 89`.
    fn is_national(&self) -> bool {
        let count = self.digits.len();
        if self.groups.len() == 1 {
            return (10..=11).contains(&count) && self.digits[0] == b'0' && self.digits[1] != b'0';
        }
        let trunk = self.digits[0] == b'0' && (9..=12).contains(&count);
        let area = self.opened(0) && (7..=12).contains(&count);
        (trunk || area) && !self.is_date_or_decimal() && self.lens().skip(1).all(|len| (2..=8).contains(&len))
    }

    /// Groupings of many countries without trunk zero: `612 34 56 78`, `416 60 039`, `467 3395`, `98765 43210`.
    fn is_grouped(&self) -> bool {
        let joined = self.groups.windows(2).all(|pair| {
            let between = &self.text[pair[0].end..pair[1].start];
            matches!(between, " " | "-" | "\u{a0}" | "\u{202f}" | "\u{2009}" | "\u{2011}")
                || between == "." && self.groups.len() >= 4
        });
        joined
            && !self.cut
            && GROUPINGS.iter().any(|(lens, least)| self.has_lens(lens) && self.digits[0] >= *least)
            && !self.is_date_or_decimal()
            && !self.is_list()
    }

    /// Years, round amounts, numbers that rise or fall by equal steps.
    fn is_list(&self) -> bool {
        let group = |i: usize| &self.text[self.groups[i].start..self.groups[i].end];
        let count = self.groups.len();
        let year =
            |i: usize| group(i).len() == 4 && (group(i).starts_with("19") || group(i).starts_with("20"));
        let round = |i: usize| group(i).ends_with("00") || group(i).len() <= 2 && group(i).ends_with('0');
        let paired = count == 2 && self.digits.len() <= 8;
        let number = |i: usize| group(i).parse::<i64>().unwrap_or(0);
        let step = count >= 3 && (2..count).all(|i| number(i) - number(i - 1) == number(1) - number(0));
        // One after the other in a range: `1998-2003`, `1450 1475`.
        let range = paired && group(0).len() == group(1).len() && group(0)[..2] == group(1)[..2];
        paired && (year(0) || year(1) || round(0) || round(1)) || range || step || (0..count).all(round)
    }

    /// Any other grouping behind (or before) a word that announces a telephone number.
    fn is_announced(&self) -> bool {
        if !(7..=15).contains(&self.digits.len()) || self.groups.len() > 6 || self.is_date_or_decimal() {
            return false;
        }
        let mut from = self.start().saturating_sub(TELLING_BYTES);
        while !self.text.is_char_boundary(from) {
            from += 1;
        }
        let context = self.text[from..self.start()].to_lowercase();
        let behind = self.text[self.end()..].trim_start();
        let named = [
            "is my number",
            "is my phone",
            "is my cell",
            "is my mobile",
            "(mobile",
            "(cell",
            "(home",
            "(work",
        ];
        TELLING.iter().any(|word| context.contains(word)) || named.iter().any(|n| behind.starts_with(n))
    }

    fn is_date_or_decimal(&self) -> bool {
        let date = !self.mixed
            && self.groups.len() == 3
            && (self.has_lens(&[2, 2, 4]) || self.has_lens(&[2, 2, 2]) || self.has_lens(&[4, 2, 2]));
        date || self.groups.len() == 2 && self.separator == Some('.')
    }

    /// Whether group `i` stands in parentheses.
    fn opened(&self, i: usize) -> bool {
        let group = self.groups[i];
        self.text[..group.start].ends_with('(') && self.text[group.end..].starts_with(')')
    }
}
