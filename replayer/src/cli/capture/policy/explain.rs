//! `understudy capture policy explain`.

use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};
use understudy_captures::exchange::{Exchange, Place};
use understudy_captures::sanitize::{Explanation, Fate, Piece};
use understudy_captures::{Key, Sanitizer};

use super::super::text::Shown;
use super::super::{print_json, printed};
use super::message;
use crate::cli::Failure;

/// Columns of the table: where, before, after; the reason takes the rest of a hundred.
const WIDTHS: [usize; 3] = [20, 27, 27];
const WHY: usize = 20;
/// A text on more lines than this is cut.
const MOST_LINES: usize = 8;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Replacements are drawn under a key made for this run and thrown away, so they differ from run to run. The output \
    quotes the request given: it is for whoever may see that.\n\n\
    Examples:\n  understudy capture policy explain\n  understudy capture policy explain policy.yaml --request request.http\n  \
    curl -si http://service/health | understudy capture policy explain policy.yaml --request -"
)]
pub(super) struct Args {
    /// The policy; without one, the built-in policy
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// A request or response as it is on the wire (`-`: standard input), in place of the built-in sample
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// Print JSON for machines
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let policy = super::read(args.file.as_deref())?;
    let exchange = exchange(args)?;
    let explanation = Sanitizer::new(policy, Key::random()).explain(&exchange);
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    printed(match args.json {
        true => print_json(&to_json(&explanation), out),
        false => print(&explanation, colours, out),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn exchange(args: &Args) -> Result<Exchange, Failure> {
    let Some(path) = &args.request else {
        return message::sample().map_err(Failure::Bug);
    };
    let name = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
    let mut bytes = Vec::new();
    let read = match path.as_os_str() == "-" {
        true => io::stdin().lock().read_to_end(&mut bytes).map(|_| ()),
        false => std::fs::read(path).map(|file| bytes = file),
    };
    read.map_err(|error| Failure::Input(format!("cannot read {name}: {error}")))?;
    let message = message::read(&bytes).map_err(|reason| {
        Failure::Data(format!("{name} is not an HTTP/1.1 request or response: {reason}"))
    })?;
    Ok(message::only(message))
}

// === for people ===

fn print(explanation: &Explanation, colours: bool, out: &mut dyn Write) -> io::Result<()> {
    if let Err(refusal) = &explanation.result {
        writeln!(out, "not recorded: {refusal}")?;
        return writeln!(
            out,
            "what cannot be read with certainty is not written, and counts as unsanitizable"
        );
    }
    let mut place = None;
    for piece in &explanation.pieces {
        if place.replace(piece.place) != Some(piece.place) {
            writeln!(out, "{}", row([heading(piece.place), "before", "after"], "why"))?;
        }
        let (mark, reset) = if colours { (colour(&piece.fate), "\x1b[0m") } else { ("", "") };
        for line in lines(piece) {
            writeln!(out, "{mark}{line}{reset}")?;
        }
    }
    let count = |wanted: fn(&Fate) -> bool| explanation.pieces.iter().filter(|p| wanted(&p.fate)).count();
    writeln!(
        out,
        "\n{} stay, {} replaced, {} as a token, {} dropped",
        count(|fate| matches!(fate, Fate::Kept | Fate::Clean | Fate::Corrected)),
        count(|fate| matches!(fate, Fate::Replaced | Fate::Found(_))),
        count(|fate| matches!(fate, Fate::Token)),
        count(|fate| matches!(fate, Fate::Dropped(_))),
    )
}

/// A piece on as many lines as its text needs, up to a limit.
fn lines(piece: &Piece) -> Vec<String> {
    let before = shown(&piece.before);
    let after = piece.after.as_deref().map_or_else(|| vec!["-".to_owned()], shown);
    let count = before.len().max(after.len()).min(MOST_LINES);
    let cell = |lines: &[String], n: usize| match lines.get(n) {
        Some(_) if n + 1 == MOST_LINES && lines.len() > MOST_LINES => "...".to_owned(),
        Some(line) => line.clone(),
        None => String::new(),
    };
    let line = |n: usize| {
        let (at, why) = match n {
            0 => (format!("  {}", piece.at), reason(&piece.fate)),
            _ => (String::new(), String::new()),
        };
        row([&at, &cell(&before, n), &cell(&after, n)], &why)
    };
    (0..count).map(line).collect()
}

/// Text that cannot steer a terminal, in pieces of a column's width.
fn shown(text: &str) -> Vec<String> {
    let text: Vec<char> = Shown::line(text.as_bytes()).to_string().chars().collect();
    text.chunks(WIDTHS[1]).map(|line| line.iter().collect()).collect()
}

fn row([at, before, after]: [&str; 3], reason: &str) -> String {
    let [a, b, c] = WIDTHS;
    let at = fit(at, a);
    let mut row = format!("{at:a$}  {before:b$}  {after:c$}  ");
    row.push_str(&fit(reason, WHY));
    row.trim_end().to_owned()
}

/// At most `width` characters of `text`.
fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let cut: String = text.chars().take(width - 3).collect();
    format!("{cut}...")
}

fn heading(place: Place) -> &'static str {
    match place {
        Place::Target => "request target",
        Place::RequestHeader => "request headers",
        Place::RequestBody => "request body",
        Place::ResponseHeader => "response headers",
        Place::ResponseBody => "response body",
        Place::Unknown(_) => "other",
    }
}

fn reason(fate: &Fate) -> String {
    match fate {
        Fate::Kept => "kept".to_owned(),
        Fate::Clean => "free text, clean".to_owned(),
        Fate::Replaced => "replaced whole".to_owned(),
        Fate::Found(classes) => classes.join(", "),
        Fate::Token => "token".to_owned(),
        Fate::Dropped(_) => "dropped".to_owned(),
        Fate::Corrected => "made right".to_owned(),
    }
}

/// Green stays, yellow is replaced, red is dropped.
fn colour(fate: &Fate) -> &'static str {
    match fate {
        Fate::Kept | Fate::Clean | Fate::Corrected => "\x1b[32m",
        Fate::Replaced | Fate::Found(_) | Fate::Token => "\x1b[33m",
        Fate::Dropped(_) => "\x1b[31m",
    }
}

// === for machines ===

fn to_json(explanation: &Explanation) -> Value {
    let piece = |piece: &Piece| {
        let (action, classes, why) = match &piece.fate {
            Fate::Kept => ("kept", &[][..], None),
            Fate::Clean => ("free_text", &[][..], None),
            Fate::Replaced => ("replaced", &[][..], None),
            Fate::Found(classes) => ("found", &classes[..], None),
            Fate::Token => ("token", &[][..], None),
            Fate::Dropped(why) => ("dropped", &[][..], Some(*why)),
            Fate::Corrected => ("corrected", &[][..], None),
        };
        json!({
            "place": piece.place.name(),
            "at": piece.at,
            "before": piece.before,
            "after": piece.after,
            "action": action,
            "classes": classes,
            "why": why,
        })
    };
    json!({
        "recorded": explanation.result.is_ok(),
        "refusal": explanation.result.as_ref().err().map(ToString::to_string),
        "pieces": explanation.pieces.iter().map(piece).collect::<Vec<_>>(),
    })
}
