//! What an import or export left out or changed, for people and machines.

use std::io::{self, Write};

use serde_json::{Value, json};
use understudy_captures::interchange::{Count, Effect, Note, Notes};

/// One line a note; what was left out comes first.
pub(super) fn print_notes(notes: &Notes, out: &mut dyn Write) -> io::Result<()> {
    for (reason, count) in notes.unsanitizable() {
        writeln!(out, "  left out  {count} unsanitizable: {reason}")?;
    }
    for wanted in [Effect::LeftOut, Effect::Changed, Effect::Remark] {
        let mark = match wanted {
            Effect::LeftOut => "left out",
            Effect::Changed => "changed ",
            Effect::Remark => "note    ",
        };
        for (note, count) in notes.iter().filter(|(note, _)| note.effect() == wanted) {
            write!(out, "  {mark}  {}: {}", note.text(), count.count)?;
            if !count.first.is_empty() {
                let more = if count.count > count.first.len() as u64 { ", ..." } else { "" };
                write!(out, " ({}{more})", count.first.join(", "))?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

pub(super) fn notes_json(notes: &Notes) -> Value {
    let note = |(note, count): (Note, &Count)| {
        json!({
            "note": note.name(),
            "effect": note.effect().name(),
            "count": count.count,
            "text": note.text(),
            "first": count.first,
        })
    };
    notes.iter().map(note).collect()
}
