//! Heads of HTTP/1 messages: where they end, and what they say about framing. Nothing else of them is interpreted.
//!
//! Strict where servers disagree (bare line feeds, folded fields, two lengths): such a message is not guessed at, the
//! recording of its connection ends.

use std::mem::MaybeUninit;

use crate::config::PathPattern;
use crate::tap::Reason;
use crate::tap::pending::Method;

/// Largest head that is followed.
pub(crate) const MAX_HEAD: usize = 64 * 1024;
/// Most fields of a head.
pub(crate) const MAX_HEADERS: usize = understudy_captures::http1::MAX_FIELDS;

/// Finds the end of a head in bytes that come in pieces. Its findings depend on the bytes seen so far, not on how
/// they were cut.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Where the head begins (behind empty lines that precede it).
    start: usize,
    line: usize,
    scanned: usize,
    lines: u32,
}

/// Which message a head belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// This many bytes, possibly none.
    Length(u64),
    /// The chunked transfer coding.
    Chunked,
    /// All that comes until the connection ends.
    UntilClose,
}

/// What a request head says about framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestHead {
    pub(crate) method: Method,
    pub(crate) framing: Framing,
    /// Its path matches an exclusion.
    pub(crate) excluded: bool,
}

/// What a response head says about framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    /// The body comes in pieces whose instants matter.
    pub(crate) streamed: bool,
}

// === impl Framing ===

impl Framing {
    /// The length that was declared.
    pub(crate) fn length(self) -> Option<u64> {
        match self {
            Framing::Length(length) => Some(length),
            Framing::Chunked | Framing::UntilClose => None,
        }
    }
}

// === impl Lines ===

impl Lines {
    /// The head's place in `bytes`, which begin where they began at the last call; `None` while it is incomplete.
    pub(crate) fn find_end(
        &mut self,
        side: Side,
        bytes: &[u8],
    ) -> Result<Option<std::ops::Range<usize>>, Reason> {
        let bytes = &bytes[..bytes.len().min(MAX_HEAD)];
        self.check_first_byte(side, bytes)?;
        while let Some(at) = memchr::memchr(b'\n', &bytes[self.scanned..]) {
            let feed = self.scanned + at;
            if feed == self.line || bytes[feed - 1] != b'\r' {
                return Err(Reason::BareLineFeed);
            }
            let is_empty = feed - 1 == self.line;
            if self.lines > 0 && matches!(bytes[self.line], b' ' | b'\t') {
                return Err(Reason::FoldedField);
            }
            self.scanned = feed + 1;
            self.line = self.scanned;
            match (is_empty, self.lines) {
                // Servers ignore empty lines before a request (RFC 9112, 2.2); before a response there are none.
                (true, 0) if side == Side::Request => {
                    self.start = self.scanned;
                    self.check_first_byte(side, bytes)?;
                }
                (true, 0) => return Err(Reason::Malformed),
                (true, _) => return Ok(Some(self.start..self.scanned)),
                (false, _) => self.lines += 1,
            }
        }
        self.scanned = bytes.len();
        if bytes.len() == MAX_HEAD { Err(Reason::HeadTooLarge) } else { Ok(None) }
    }

    /// Foreign protocols show by their first byte; their bytes must not be collected as if a head were to come.
    fn check_first_byte(&self, side: Side, bytes: &[u8]) -> Result<(), Reason> {
        match (side, bytes.get(self.start)) {
            (_, None) | (Side::Request, Some(b'\r')) | (Side::Response, Some(b'H')) => Ok(()),
            (Side::Request, Some(b'\n')) => Err(Reason::BareLineFeed),
            (Side::Request, Some(0x16)) => Err(Reason::Tls),
            (Side::Request, Some(first)) if first.is_ascii_uppercase() || is_token(*first) => Ok(()),
            (Side::Request, Some(_)) => Err(Reason::NotHttp),
            (Side::Response, Some(_)) => Err(Reason::NotHttp),
        }
    }
}

pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

// === impl RequestHead ===

impl RequestHead {
    /// Reads a whole request head.
    pub(crate) fn parse(head: &[u8], exclude: &[PathPattern]) -> Result<RequestHead, Reason> {
        let mut room = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut []);
        let parsed = request.parse_with_uninit_headers(head, &mut room);
        complete(parsed, head.len())?;
        let fields = Fields::read(request.headers, request.version)?;
        let target = request.path.unwrap_or_default().as_bytes();
        Ok(RequestHead {
            method: match request.method {
                Some("HEAD") => Method::Head,
                Some("CONNECT") => Method::Connect,
                _ => Method::Other,
            },
            framing: fields.framing().unwrap_or(Framing::Length(0)),
            excluded: is_excluded(target, exclude),
        })
    }
}

/// Whether the path of a target matches an exclusion.
pub(crate) fn is_excluded(target: &[u8], exclude: &[PathPattern]) -> bool {
    exclude.iter().any(|pattern| pattern.matches(path_of(target)))
}

/// The path of a target: origin form, or absolute form as clients send it to proxies.
pub(crate) fn path_of(target: &[u8]) -> &[u8] {
    let origin = match memchr::memmem::find(target, b"://") {
        Some(at) if !target.starts_with(b"/") => {
            let authority = &target[at + 3..];
            let path_at = memchr::memchr(b'/', authority).unwrap_or(authority.len());
            &authority[path_at..]
        }
        _ => target,
    };
    &origin[..memchr::memchr2(b'?', b'#', origin).unwrap_or(origin.len())]
}

// === impl ResponseHead ===

impl ResponseHead {
    /// Reads a whole response head; its body's length depends on the request's method.
    pub(crate) fn parse(head: &[u8], method: Method) -> Result<ResponseHead, Reason> {
        let mut room = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut response,
            head,
            &mut room,
        );
        complete(parsed, head.len())?;
        let fields = Fields::read(response.headers, response.version)?;
        let status = response.code.ok_or(Reason::Malformed)?;
        if !(100..=999).contains(&status) {
            return Err(Reason::Malformed);
        }
        let bodiless = method == Method::Head || matches!(status, 100..=199 | 204 | 304);
        let framing =
            if bodiless { Framing::Length(0) } else { fields.framing().unwrap_or(Framing::UntilClose) };
        let streamed = fields.event_stream || !matches!(framing, Framing::Length(_));
        Ok(ResponseHead { status, framing, streamed })
    }
}

/// The caller gives a head as [`Lines`] delimits it, so anything but its whole length is a disagreement.
fn complete(parsed: httparse::Result<usize>, length: usize) -> Result<(), Reason> {
    match parsed {
        Ok(httparse::Status::Complete(used)) if used == length => Ok(()),
        Err(httparse::Error::TooManyHeaders) => Err(Reason::TooManyHeaders),
        Ok(_) | Err(_) => Err(Reason::Malformed),
    }
}

/// The fields that decide about framing.
#[derive(Debug, Default)]
struct Fields {
    length: Option<u64>,
    chunked: bool,
    event_stream: bool,
}

// === impl Fields ===

impl Fields {
    fn read(headers: &[httparse::Header<'_>], version: Option<u8>) -> Result<Fields, Reason> {
        let mut fields = Fields::default();
        for header in headers {
            // By length first: most names differ in it.
            match header.name.len() {
                14 if header.name.eq_ignore_ascii_case("content-length") => {
                    let length = content_length(header.value)?;
                    if fields.length.is_some_and(|earlier| earlier != length) {
                        return Err(Reason::AmbiguousLength);
                    }
                    fields.length = Some(length);
                }
                17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                    if fields.chunked || !header.value.eq_ignore_ascii_case(b"chunked") || version != Some(1)
                    {
                        return Err(Reason::TransferCoding);
                    }
                    fields.chunked = true;
                }
                12 if header.name.eq_ignore_ascii_case("content-type") => {
                    fields.event_stream = is_event_stream(header.value);
                }
                _ => {}
            }
        }
        if fields.chunked && fields.length.is_some() {
            return Err(Reason::AmbiguousLength);
        }
        Ok(fields)
    }

    /// What the fields say; `None` when they say nothing.
    fn framing(&self) -> Option<Framing> {
        if self.chunked { Some(Framing::Chunked) } else { self.length.map(Framing::Length) }
    }
}

/// Whether a content type is that of server-sent events.
pub(crate) fn is_event_stream(content_type: &[u8]) -> bool {
    const EVENT_STREAM: &[u8] = b"text/event-stream";
    content_type.get(..EVENT_STREAM.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(EVENT_STREAM))
}

/// Digits and nothing else: no sign, no list, no white space inside.
pub(crate) fn content_length(value: &[u8]) -> Result<u64, Reason> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Reason::BadLength);
    }
    Ok(value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}
