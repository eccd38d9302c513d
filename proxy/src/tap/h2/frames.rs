//! Frames of HTTP/2 in bytes that come in pieces (RFC 9113, sections 4 and 6). Payloads are passed on as they come;
//! of a frame itself nine bytes are kept.
//!
//! Sizes, stream numbers and the order of header blocks are checked as a receiver must check them; a frame that a
//! receiver would refuse ends the connection there, and its recording here.

use crate::clock::Nanos;
use crate::tap::Reason;

/// Largest payload that every receiver takes.
const DEFAULT_PAYLOAD: u32 = 1 << 14;
/// Largest payload that a receiver may ask for.
const MAX_PAYLOAD: u32 = (1 << 24) - 1;

const HEADER_BYTES: usize = 9;
const SETTING_BYTES: usize = 6;
const PRIORITY_BYTES: usize = 5;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// Splits one direction of a connection into frames.
#[derive(Debug)]
pub(crate) struct Frames {
    /// Bytes of an incomplete fixed part: the frame's header, or fields at the begin of its payload.
    fixed: [u8; HEADER_BYTES],
    have: usize,
    step: Step,
    frame: Frame,
    /// When the first byte of the frame came.
    began: Nanos,
    /// The first frame has begun.
    greeted: bool,
    /// The stream whose header block is not complete: nothing but its continuation may come.
    open_block: Option<u32>,
    max_payload: u32,
}

/// The frame under way.
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    kind: Kind,
    flags: u8,
    stream: u32,
    /// Payload still to come, without padding.
    remaining: u32,
    padding: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    Data,
    Headers,
    Reset,
    Settings,
    Promise,
    GoAway,
    Continuation,
    /// Nothing in it matters.
    #[default]
    Other,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Header,
    /// So many bytes of fixed fields.
    Fields(usize),
    Settings,
    Payload,
    Padding,
}

/// What a frame says, in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// A header block begins.
    Headers { stream: u32, ends_stream: bool },
    /// The header block of a pushed request begins.
    Promise,
    /// A piece of the header block that began; `last` completes it.
    Block { bytes: &'a [u8], last: bool },
    /// Bytes of a body.
    Data { stream: u32, bytes: &'a [u8] },
    /// The body ends without trailers.
    DataEnd { stream: u32 },
    /// One setting of several.
    Setting { id: u16, value: u32 },
    /// All settings of a frame have come.
    SettingsEnd,
    /// The oldest settings of the other side are in force.
    SettingsAck,
    /// The stream is over.
    Reset { stream: u32 },
    /// Streams above `last` are not answered.
    GoAway { last: u32 },
}

// === impl Frames ===

impl Default for Frames {
    fn default() -> Frames {
        Frames {
            fixed: [0; HEADER_BYTES],
            have: 0,
            step: Step::Header,
            frame: Frame::default(),
            began: 0,
            greeted: false,
            open_block: None,
            max_payload: DEFAULT_PAYLOAD,
        }
    }
}

impl Frames {
    /// The next event of `bytes`, which loses what was taken; `None` when more must come.
    pub(crate) fn next<'a>(&mut self, bytes: &mut &'a [u8], now: Nanos) -> Result<Option<Event<'a>>, Reason> {
        loop {
            match self.step {
                Step::Header => {
                    if self.have == 0 {
                        self.began = now;
                    }
                    let Some(header) = self.gather(HEADER_BYTES, bytes) else { return Ok(None) };
                    self.begin(header)?;
                }
                Step::Fields(count) => {
                    let Some(fields) = self.gather(count, bytes) else { return Ok(None) };
                    if let Some(event) = self.fields(fields, count)? {
                        return Ok(Some(event));
                    }
                }
                Step::Settings => {
                    if self.frame.remaining == 0 {
                        self.step = Step::Header;
                        let acknowledges = self.frame.flags & ACK != 0;
                        return Ok(Some(if acknowledges { Event::SettingsAck } else { Event::SettingsEnd }));
                    }
                    let Some(setting) = self.gather(SETTING_BYTES, bytes) else { return Ok(None) };
                    self.frame.remaining -= SETTING_BYTES as u32;
                    let id = u16::from_be_bytes([setting[0], setting[1]]);
                    let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
                    return Ok(Some(Event::Setting { id, value }));
                }
                Step::Payload => {
                    let piece = take(bytes, &mut self.frame.remaining);
                    let ended = self.frame.remaining == 0;
                    if ended {
                        self.step = Step::Padding;
                    }
                    match self.frame.kind {
                        Kind::Data if !piece.is_empty() => {
                            return Ok(Some(Event::Data { stream: self.frame.stream, bytes: piece }));
                        }
                        Kind::Headers | Kind::Promise | Kind::Continuation if ended || !piece.is_empty() => {
                            let last = ended && self.frame.flags & END_HEADERS != 0;
                            return Ok(Some(Event::Block { bytes: piece, last }));
                        }
                        _ if !ended => return Ok(None),
                        _ => {}
                    }
                }
                Step::Padding => {
                    take(bytes, &mut self.frame.padding);
                    if self.frame.padding > 0 {
                        return Ok(None);
                    }
                    self.step = Step::Header;
                    if self.frame.kind == Kind::Data && self.frame.flags & END_STREAM != 0 {
                        return Ok(Some(Event::DataEnd { stream: self.frame.stream }));
                    }
                }
            }
        }
    }

    /// When the first byte of the frame of the last event came.
    pub(crate) fn began(&self) -> Nanos {
        self.began
    }

    /// The receiver takes payloads of this size; it may have taken larger ones before.
    pub(crate) fn allow_payload(&mut self, size: u32) -> Result<(), Reason> {
        if !(DEFAULT_PAYLOAD..=MAX_PAYLOAD).contains(&size) {
            return Err(Reason::BadFrame);
        }
        self.max_payload = self.max_payload.max(size);
        Ok(())
    }

    /// A fixed part of `count` bytes once it is complete.
    fn gather(&mut self, count: usize, bytes: &mut &[u8]) -> Option<[u8; HEADER_BYTES]> {
        let used = (count - self.have).min(bytes.len());
        self.fixed[self.have..self.have + used].copy_from_slice(&bytes[..used]);
        *bytes = &bytes[used..];
        self.have += used;
        if self.have < count {
            return None;
        }
        self.have = 0;
        Some(self.fixed)
    }

    fn begin(&mut self, header: [u8; HEADER_BYTES]) -> Result<(), Reason> {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = header;
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        // The first bit is reserved and to be ignored.
        let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        let of_connection = stream == 0;
        let pad = usize::from(flags & PADDED != 0);
        let refuse_unless = |fine: bool| if fine { Ok(()) } else { Err(Reason::BadFrame) };
        refuse_unless(length <= self.max_payload)?;
        refuse_unless(self.greeted || (kind == 0x4 && flags & ACK == 0))?;
        refuse_unless(self.open_block.is_none_or(|open| kind == 0x9 && open == stream))?;
        self.greeted = true;
        let (kind, fixed) = match kind {
            0x0 => (Kind::Data, pad),
            0x1 => (Kind::Headers, pad + if flags & PRIORITY != 0 { PRIORITY_BYTES } else { 0 }),
            0x3 => (Kind::Reset, 4),
            0x4 => (Kind::Settings, 0),
            0x5 => (Kind::Promise, pad + 4),
            0x7 => (Kind::GoAway, 8),
            0x9 => (Kind::Continuation, 0),
            _ => (Kind::Other, 0),
        };
        // PRIORITY, PING and WINDOW_UPDATE say nothing that matters here, but can be wrong all the same.
        match (kind, header[3]) {
            (Kind::Settings, _) => {
                refuse_unless(of_connection && length.is_multiple_of(SETTING_BYTES as u32))?;
                refuse_unless(flags & ACK == 0 || length == 0)?;
            }
            (Kind::GoAway, _) => refuse_unless(of_connection)?,
            (Kind::Reset, _) => refuse_unless(!of_connection && length == 4)?,
            (Kind::Continuation, _) => refuse_unless(self.open_block.is_some())?,
            (Kind::Data | Kind::Headers | Kind::Promise, _) => refuse_unless(!of_connection)?,
            (Kind::Other, 0x2) => refuse_unless(!of_connection && length == 5)?,
            (Kind::Other, 0x6) => refuse_unless(of_connection && length == 8)?,
            (Kind::Other, 0x8) => refuse_unless(length == 4)?,
            (Kind::Other, _) => {}
        }
        refuse_unless(length >= fixed as u32)?;
        if matches!(kind, Kind::Headers | Kind::Promise | Kind::Continuation) {
            self.open_block = (flags & END_HEADERS == 0).then_some(stream);
        }
        self.frame = Frame { kind, flags, stream, remaining: length - fixed as u32, padding: 0 };
        self.step = match (kind, fixed) {
            (Kind::Settings, _) => Step::Settings,
            (_, 0) => Step::Payload,
            (_, fixed) => Step::Fields(fixed),
        };
        // A header block without fixed fields begins all the same.
        if kind == Kind::Headers && fixed == 0 {
            self.step = Step::Fields(0);
        }
        Ok(())
    }

    /// Reads the fixed fields at the begin of a payload.
    fn fields(&mut self, fields: [u8; HEADER_BYTES], count: usize) -> Result<Option<Event<'static>>, Reason> {
        self.step = Step::Payload;
        let frame = &mut self.frame;
        let padded =
            frame.flags & PADDED != 0 && matches!(frame.kind, Kind::Data | Kind::Headers | Kind::Promise);
        if padded && count > 0 {
            frame.padding = u32::from(fields[0]);
            frame.remaining = frame.remaining.checked_sub(frame.padding).ok_or(Reason::BadFrame)?;
        }
        let number = || u32::from_be_bytes([fields[0] & 0x7f, fields[1], fields[2], fields[3]]);
        Ok(match frame.kind {
            Kind::Headers => {
                Some(Event::Headers { stream: frame.stream, ends_stream: frame.flags & END_STREAM != 0 })
            }
            Kind::Promise => Some(Event::Promise),
            Kind::Reset => Some(Event::Reset { stream: frame.stream }),
            Kind::GoAway => Some(Event::GoAway { last: number() }),
            _ => None,
        })
    }
}

/// Takes the share of `bytes` that belongs to what `remaining` counts.
fn take<'a>(bytes: &mut &'a [u8], remaining: &mut u32) -> &'a [u8] {
    let used = (*remaining as usize).min(bytes.len());
    let (piece, rest) = bytes.split_at(used);
    *bytes = rest;
    *remaining -= used as u32;
    piece
}
