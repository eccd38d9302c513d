//! Importers: any bytes are read to their end as any format, and what is read can be written again.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use understudy_captures::interchange::arrivals::{Arrivals, Choice, Synthesis, Template, Texts};
use understudy_captures::interchange::gor::GorReader;
use understudy_captures::interchange::har::HarReader;
use understudy_captures::interchange::import::{Found, Reader};
use understudy_captures::interchange::jsonl::{JsonlReader, to_json};
use understudy_captures::interchange::nginx::NginxReader;
use understudy_captures::interchange::{Format, Input, Notes};

/// Reads `data` behind its first byte, which says as what: `g`or, `h`ar, `j`son lines, `n`ginx, `a`zure, `m`ooncake.
pub fn run(data: &[u8]) {
    let Some((kind, file)) = data.split_first() else { return };
    Format::of_content(file);
    let input =
        || Input::new(Path::new("fuzzed"), std::io::Cursor::new(file.to_vec())).expect("memory can be read");
    match kind {
        b'g' => drain(GorReader::new(input())),
        b'h' => drain(HarReader::new(input())),
        b'j' => drain(JsonlReader::new(input())),
        b'n' => drain(NginxReader::new(input())),
        b'a' => drain(Arrivals::new(input(), Format::Azure, synthesis())),
        b'm' => drain(Arrivals::new(input(), Format::Mooncake, synthesis())),
        _ => {}
    }
}

/// Texts of one word and less: how long a text becomes is not what is fuzzed.
fn synthesis() -> Rc<RefCell<Synthesis>> {
    let texts = ["fine", "", "\u{1f600} \"quoted\""].map(String::from).to_vec();
    let texts = Texts::new(texts, Choice::InTurn, false).expect("there are some");
    let template = Template::preset("openai").expect("it is built in");
    Rc::new(RefCell::new(Synthesis { texts, template }))
}

fn drain(mut reader: impl Reader) {
    let mut notes = Notes::default();
    while let Some(found) = reader.next(&mut notes).expect("memory can be read") {
        let Found::Exchange(exchange, _) = found else { continue };
        let mut line = to_json(&exchange).to_string().into_bytes();
        line.push(b'\n');
        let again = Input::new(Path::new("again"), std::io::Cursor::new(line)).expect("memory can be read");
        let read = JsonlReader::new(again).next(&mut Notes::default()).expect("memory can be read");
        let Some(Found::Exchange(read, _)) = read else { panic!("a line that we wrote is not read") };
        assert_eq!(read, exchange, "JSON Lines lose something");
    }
}
