//! How the demo speaks: numbered steps and a few lines below each.

use std::io::{self, Write};

/// Steps of the story.
const STEPS: usize = 5;
/// Widest line; longer ones are broken between words.
const WIDTH: usize = 110;
const INDENT: &str = "      ";

/// Writes the story.
pub struct Teller<'a> {
    out: &'a mut dyn Write,
    styled: bool,
    step: usize,
}

// === impl Teller ===

impl<'a> Teller<'a> {
    /// A teller that sets step titles in bold where `styled`.
    pub fn new(out: &'a mut dyn Write, styled: bool) -> Self {
        Self { out, styled, step: 0 }
    }

    /// Begins the next step.
    pub(super) fn step(&mut self, title: &str) -> io::Result<()> {
        self.step += 1;
        let number = format!("[{}/{STEPS}]", self.step);
        if self.styled {
            writeln!(self.out, "\x1b[1m{number} {title}\x1b[0m")?;
        } else {
            writeln!(self.out, "{number} {title}")?;
        }
        self.out.flush()
    }

    /// Says something below the step's title.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        for line in wrap(text, WIDTH - INDENT.len()) {
            writeln!(self.out, "{INDENT}{line}")?;
        }
        self.out.flush()
    }

    /// A line that is not wrapped: of a table, or a text as it is.
    pub(super) fn verbatim(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{INDENT}{text}")?;
        self.out.flush()
    }

    /// An empty line.
    pub(super) fn gap(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }
}

/// Breaks `text` between words into lines of at most `width` characters; a longer word has its own line. Lines after
/// the first are indented by two.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let broken = lines.len() > 1;
        let Some(line) = lines.last_mut() else { break };
        let room = width - if broken { 2 } else { 0 };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= room {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    let indented = |(at, line): (usize, String)| if at == 0 { line } else { format!("  {line}") };
    lines.into_iter().enumerate().map(indented).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_between_words_and_nothing_is_lost() {
        let text = "the quick brown fox jumps over the lazy dog";
        let lines = wrap(text, 12);
        assert_eq!(lines[..2], ["the quick", "  brown fox"]);
        assert!(lines.iter().all(|line| line.chars().count() <= 12), "{lines:?}");
        let joined: Vec<&str> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
        assert_eq!(joined.join(" "), text);
        assert_eq!(wrap("/a/very/long/path/without/a/space", 12).len(), 1);
    }

    #[test]
    fn steps_are_numbered() {
        let mut out = Vec::new();
        let mut teller = Teller::new(&mut out, false);
        teller.step("First").unwrap();
        teller.step("Second").unwrap();
        teller.line("something").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "[1/5] First\n[2/5] Second\n      something\n");
    }
}
