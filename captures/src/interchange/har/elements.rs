//! Cuts the array `log.entries` of a document into its elements without reading the document as a whole.
//!
//! Only strings and brackets are looked at: an element that is no JSON costs that element, as long as its brackets
//! match.

use super::super::import::ImportError;
use super::super::input::{Input, MAX_RECORD};

/// Deepest nesting that is followed; beyond it the document is none of ours.
const MAX_DEPTH: usize = 256;
/// Longest key that is looked at.
const MAX_KEY: usize = 16;

/// An element of the array.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Element<'a> {
    /// An object, and its byte offset.
    Whole(&'a [u8], u64),
    /// Larger than is read.
    TooLarge(u64),
    /// The document ends inside it.
    Torn(u64),
}

/// Walks through the document.
pub(super) struct Elements {
    input: Input,
    scan: Scan,
}

/// What is known of the document so far.
struct Scan {
    state: State,
    /// Open brackets.
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The string read last, while it may be a key.
    key: Vec<u8>,
    /// The string before a colon, at depths 1 and 2.
    path: [Option<Key>; 2],
    offset: u64,
    element: Vec<u8>,
    element_at: u64,
    too_large: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the array.
    Before,
    /// In it, between elements.
    Between,
    /// In an element.
    Inside,
    /// Behind it.
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Log,
    Entries,
    Other,
}

// === impl Elements ===

impl Elements {
    pub(super) fn new(input: Input) -> Elements {
        Elements { input, scan: Scan::new() }
    }

    pub(super) fn input(&self) -> &Input {
        &self.input
    }

    /// The next element; `None` behind the last, or where the document ends.
    pub(super) fn next(&mut self) -> Result<Option<Element<'_>>, ImportError> {
        self.scan.element.clear();
        self.scan.too_large = false;
        loop {
            if self.scan.state == State::Done {
                return Ok(None);
            }
            let chunk = self.input.chunk()?;
            if chunk.is_empty() {
                let torn = self.scan.state == State::Inside;
                self.scan.state = State::Done;
                return Ok(torn.then_some(Element::Torn(self.scan.element_at)));
            }
            let (used, complete) = self.scan.run(chunk);
            self.input.consume(used);
            if complete {
                let at = self.scan.element_at;
                return Ok(Some(match self.scan.too_large {
                    true => Element::TooLarge(at),
                    false => Element::Whole(&self.scan.element, at),
                }));
            }
        }
    }
}

// === impl Scan ===

impl Scan {
    fn new() -> Scan {
        Scan {
            state: State::Before,
            depth: 0,
            in_string: false,
            escaped: false,
            key: Vec::new(),
            path: [None; 2],
            offset: 0,
            element: Vec::new(),
            element_at: 0,
            too_large: false,
        }
    }

    /// Looks at bytes up to the end of an element; says how many, and whether one ended.
    fn run(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut kept_from = 0;
        for (i, byte) in bytes.iter().enumerate() {
            let before = self.state;
            self.step(*byte);
            self.offset += 1;
            if before != State::Inside && self.state == State::Inside {
                kept_from = i;
                self.element_at = self.offset - 1;
            }
            if before == State::Inside && self.state == State::Between {
                self.keep(&bytes[kept_from..=i]);
                return (i + 1, true);
            }
            if self.state == State::Done {
                return (i + 1, false);
            }
        }
        if self.state == State::Inside {
            self.keep(&bytes[kept_from..]);
        }
        (bytes.len(), false)
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.element.len() + bytes.len() > MAX_RECORD {
            self.too_large = true;
            self.element = Vec::new();
        }
        if !self.too_large {
            self.element.extend_from_slice(bytes);
        }
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ if self.key.len() <= MAX_KEY => self.key.push(byte),
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.key.clear();
            }
            b':' if self.state == State::Before && (1..=2).contains(&self.depth) => {
                let key = match &self.key[..] {
                    b"log" => Key::Log,
                    b"entries" => Key::Entries,
                    _ => Key::Other,
                };
                self.path[self.depth - 1] = Some(key);
            }
            b'{' | b'[' => self.open(byte),
            b'}' | b']' => self.close(),
            _ => {}
        }
    }

    fn open(&mut self, byte: u8) {
        self.depth += 1;
        match self.state {
            State::Before
                if byte == b'[' && self.depth == 3 && self.path == [Some(Key::Log), Some(Key::Entries)] =>
            {
                self.state = State::Between;
            }
            State::Before if self.depth == 2 => self.path[1] = None,
            State::Between => self.state = State::Inside,
            _ => {}
        }
        if self.depth > MAX_DEPTH && self.state != State::Inside {
            self.state = State::Done;
        }
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        match self.state {
            State::Inside if self.depth == 3 => self.state = State::Between,
            State::Between => self.state = State::Done,
            _ => {}
        }
    }
}
