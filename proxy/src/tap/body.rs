//! Bodies of HTTP/1 messages: takes the transfer coding off and finds the end.

use crate::tap::Reason;
use crate::tap::head::{Framing, is_token};
use crate::tap::pending::Piece;

/// Longest chunk-size line, extensions included.
const MAX_SIZE_LINE: u32 = 1024;
/// Most bytes of trailer fields.
const MAX_TRAILERS: usize = 16 * 1024;

/// Follows one body.
#[derive(Debug)]
pub(crate) enum Body {
    /// This many bytes are still to come.
    Length(u64),
    /// The chunked transfer coding.
    Chunked(Chunked),
    /// Ends with the connection.
    UntilClose,
}

/// Where the chunked coding stands.
#[derive(Debug)]
pub(crate) struct Chunked {
    state: State,
    /// Size of the chunk whose line is read, then bytes of it still to come.
    remaining: u64,
    /// Bytes of the current size line.
    line: u32,
    /// Bytes of trailers so far, and of their current line.
    trailers: usize,
    trailer_line: usize,
    /// The name on that line has ended.
    named: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Extension,
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    Trailer,
    TrailerLineFeed,
}

/// How far a body took the bytes it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Bytes that belong to the body.
    pub(crate) used: usize,
    /// Whether they end it.
    pub(crate) ended: bool,
}

// === impl Body ===

impl Body {
    /// A body about to begin; `None` when it has no bytes.
    pub(crate) fn begin(framing: Framing) -> Option<Body> {
        match framing {
            Framing::Length(0) => None,
            Framing::Length(length) => Some(Body::Length(length)),
            Framing::Chunked => Some(Body::Chunked(Chunked::new())),
            Framing::UntilClose => Some(Body::UntilClose),
        }
    }

    /// Takes the body's share of `bytes`, giving its pieces to `sink`.
    pub(crate) fn take<'a>(
        &mut self,
        bytes: &'a [u8],
        sink: &mut impl FnMut(Piece<'a>),
    ) -> Result<Taken, Reason> {
        match self {
            Body::Length(remaining) => {
                let used = usize::try_from(*remaining).map_or(bytes.len(), |most| most.min(bytes.len()));
                if used > 0 {
                    sink(Piece::Data(&bytes[..used]));
                }
                *remaining -= used as u64;
                Ok(Taken { used, ended: *remaining == 0 })
            }
            Body::Chunked(chunked) => chunked.take(bytes, sink),
            Body::UntilClose => {
                if !bytes.is_empty() {
                    sink(Piece::Data(bytes));
                }
                Ok(Taken { used: bytes.len(), ended: false })
            }
        }
    }
}

// === impl Chunked ===

impl Chunked {
    fn new() -> Chunked {
        Chunked { state: State::Size, remaining: 0, line: 0, trailers: 0, trailer_line: 0, named: false }
    }

    fn take<'a>(&mut self, bytes: &'a [u8], sink: &mut impl FnMut(Piece<'a>)) -> Result<Taken, Reason> {
        let mut at = 0;
        // Trailers are passed on in one piece per call.
        let mut trailer_from = None;
        while at < bytes.len() {
            if self.state == State::Data {
                let rest = &bytes[at..];
                let used = usize::try_from(self.remaining).map_or(rest.len(), |most| most.min(rest.len()));
                sink(Piece::Data(&rest[..used]));
                at += used;
                self.remaining -= used as u64;
                if self.remaining == 0 {
                    self.state = State::DataReturn;
                }
                continue;
            }
            if matches!(self.state, State::Trailer | State::TrailerLineFeed) && trailer_from.is_none() {
                trailer_from = Some(at);
            }
            let ended = self.step(bytes[at])?;
            at += 1;
            if ended {
                if let Some(from) = trailer_from {
                    sink(Piece::Trailer(&bytes[from..at]));
                }
                return Ok(Taken { used: at, ended: true });
            }
        }
        if let Some(from) = trailer_from {
            sink(Piece::Trailer(&bytes[from..at]));
        }
        Ok(Taken { used: at, ended: false })
    }

    /// Takes one byte of what is not data; whether it ends the body.
    fn step(&mut self, byte: u8) -> Result<bool, Reason> {
        match self.state {
            State::Size | State::Extension => self.size_line(byte)?,
            State::SizeLineFeed => {
                expect(byte, b'\n', Reason::BadChunk)?;
                self.line = 0;
                self.state = if self.remaining == 0 { State::Trailer } else { State::Data };
            }
            State::DataReturn => {
                expect(byte, b'\r', if byte == b'\n' { Reason::BareLineFeed } else { Reason::BadChunk })?;
                self.state = State::DataLineFeed;
            }
            State::DataLineFeed => {
                expect(byte, b'\n', Reason::BadChunk)?;
                self.state = State::Size;
            }
            State::Trailer => {
                self.trailer_byte()?;
                match byte {
                    b'\n' => return Err(Reason::BareLineFeed),
                    // A line that is no field may be the next request, on a stream that lost its framing.
                    b'\r' if self.named || self.trailer_line == 1 => self.state = State::TrailerLineFeed,
                    b' ' | b'\t' if self.trailer_line == 1 => return Err(Reason::FoldedField),
                    b':' if !self.named && self.trailer_line > 1 => self.named = true,
                    b'\t' | b' '..=b'~' | 0x80.. if self.named => {}
                    _ if !self.named && is_token(byte) => {}
                    _ => return Err(Reason::BadChunk),
                }
            }
            State::TrailerLineFeed => {
                self.trailer_byte()?;
                expect(byte, b'\n', Reason::BadChunk)?;
                if self.trailer_line == 2 {
                    return Ok(true);
                }
                self.trailer_line = 0;
                self.named = false;
                self.state = State::Trailer;
            }
            State::Data => {}
        }
        Ok(false)
    }

    fn size_line(&mut self, byte: u8) -> Result<(), Reason> {
        self.line += 1;
        if self.line > MAX_SIZE_LINE {
            return Err(Reason::BadChunk);
        }
        let digit = (byte as char).to_digit(16);
        match (self.state, byte, digit) {
            (State::Size, _, Some(digit)) => {
                // 15 digits: no overflow, and more than any body.
                if self.line > 15 {
                    return Err(Reason::BadChunk);
                }
                self.remaining = self.remaining * 16 + u64::from(digit);
            }
            (_, b'\n', _) => return Err(Reason::BareLineFeed),
            (State::Size, b';', _) if self.line > 1 => self.state = State::Extension,
            (State::Size, b'\r', _) if self.line > 1 => self.state = State::SizeLineFeed,
            (State::Extension, b'\r', _) => self.state = State::SizeLineFeed,
            (State::Extension, ..) => {}
            _ => return Err(Reason::BadChunk),
        }
        Ok(())
    }

    fn trailer_byte(&mut self) -> Result<(), Reason> {
        self.trailers += 1;
        self.trailer_line += 1;
        if self.trailers > MAX_TRAILERS { Err(Reason::HeadTooLarge) } else { Ok(()) }
    }
}

fn expect(byte: u8, wanted: u8, otherwise: Reason) -> Result<(), Reason> {
    if byte == wanted { Ok(()) } else { Err(otherwise) }
}
