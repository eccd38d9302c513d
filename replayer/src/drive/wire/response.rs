//! A response while it comes, in whatever pieces.

use std::mem::MaybeUninit;

use super::Witness;

/// Longest head, trailers or chunk size line.
const MAX_HEAD: usize = 64 * 1024;

/// Most fields in a head.
const MAX_FIELDS: usize = 128;

/// Longest body that is kept to find the answer in. A classifier's answer is a few hundred bytes; generated text and
/// files are counted, not kept.
const MAX_KEPT: usize = 1 << 20;

/// Capacity that a buffer for bodies may have between two responses.
const MAX_IDLE: usize = 64 * 1024;

/// What came is no HTTP response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::drive) struct Malformed;

/// Content coding of a kept body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::drive) enum Coding {
    Identity,
    Gzip,
    Deflate,
}

/// A response that is being read.
pub(in crate::drive) struct Incoming<'a> {
    stage: Stage,
    /// The request was one whose response has no body.
    bodiless: bool,
    /// A head, size line or trailer that is not complete yet.
    partial: Vec<u8>,
    coding: Option<Coding>,
    body: &'a mut Vec<u8>,
    received: u64,
    persistent: bool,
    seen: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    Length(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    UntilClose,
    Over,
}

/// What a head says of what follows.
struct Head {
    status: u16,
    length: usize,
    framing: Stage,
    coding: Option<Coding>,
    persistent: bool,
}

// === impl Incoming ===

impl<'a> Incoming<'a> {
    /// A response about to come, whose body is kept in `body` if there may be an answer in it.
    pub(super) fn new(bodiless: bool, body: &'a mut Vec<u8>) -> Incoming<'a> {
        body.shrink_to(MAX_IDLE);
        Incoming {
            stage: Stage::Head,
            bodiless,
            partial: Vec::new(),
            coding: None,
            body,
            received: 0,
            persistent: false,
            seen: false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    pub(super) fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// How the body is coded, if it was kept.
    pub(super) fn kept(&self) -> Option<Coding> {
        self.coding.filter(|_| self.received > 0)
    }

    /// Takes bytes as they came.
    pub(super) fn take(&mut self, bytes: &[u8], witness: &mut impl Witness) -> Result<(), Malformed> {
        if !self.seen {
            self.seen = true;
            witness.first_byte();
        }
        if self.partial.is_empty() {
            return self.read(bytes, witness);
        }
        let mut joined = std::mem::take(&mut self.partial);
        joined.extend_from_slice(bytes);
        self.read(&joined, witness)
    }

    /// The other side will send no more.
    pub(super) fn close(&mut self) -> Result<(), Malformed> {
        self.persistent = false;
        match self.stage {
            Stage::UntilClose => {
                self.stage = Stage::Over;
                Ok(())
            }
            _ => Err(Malformed),
        }
    }

    fn read(&mut self, mut bytes: &[u8], witness: &mut impl Witness) -> Result<(), Malformed> {
        while !bytes.is_empty() {
            let used = match self.stage {
                Stage::Head => self.head(bytes, witness)?,
                Stage::Length(left) => {
                    let used = most(left, bytes);
                    self.data(&bytes[..used], witness);
                    let left = left - used as u64;
                    self.stage = if left == 0 { Stage::Over } else { Stage::Length(left) };
                    Some(used)
                }
                Stage::UntilClose => {
                    self.data(bytes, witness);
                    Some(bytes.len())
                }
                Stage::ChunkSize => self.chunk_size(bytes)?,
                Stage::Chunk(left) => {
                    let used = most(left, bytes);
                    self.data(&bytes[..used], witness);
                    let left = left - used as u64;
                    self.stage = if left == 0 { Stage::ChunkEnd } else { Stage::Chunk(left) };
                    Some(used)
                }
                Stage::ChunkEnd => self.chunk_end(bytes)?,
                Stage::Trailers => self.trailer(bytes)?,
                Stage::Over => {
                    // Nobody asked for what follows the response.
                    self.persistent = false;
                    return Ok(());
                }
            };
            let Some(used) = used else {
                if bytes.len() > MAX_HEAD {
                    return Err(Malformed);
                }
                self.partial = bytes.to_vec();
                return Ok(());
            };
            bytes = &bytes[used..];
        }
        Ok(())
    }

    fn head(&mut self, bytes: &[u8], witness: &mut impl Witness) -> Result<Option<usize>, Malformed> {
        let Some(head) = Head::read(bytes, self.bodiless)? else { return Ok(None) };
        // An interim response announces another one. 101 is an answer to a question that is never asked.
        if head.status == 101 {
            return Err(Malformed);
        }
        if head.status >= 200 {
            witness.status(head.status);
            self.coding = head.coding.filter(|_| head.status < 400);
            self.persistent = head.persistent;
            self.stage = head.framing;
        }
        Ok(Some(head.length))
    }

    fn chunk_size(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        match httparse::parse_chunk_size(bytes) {
            Ok(httparse::Status::Complete((used, size))) => {
                self.stage = if size == 0 { Stage::Trailers } else { Stage::Chunk(size) };
                Ok(Some(used))
            }
            Ok(httparse::Status::Partial) => Ok(None),
            Err(httparse::InvalidChunkSize) => Err(Malformed),
        }
    }

    fn chunk_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        match bytes {
            [b'\r', b'\n', ..] => {
                self.stage = Stage::ChunkSize;
                Ok(Some(2))
            }
            [b'\r'] => Ok(None),
            _ => Err(Malformed),
        }
    }

    fn trailer(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let Some(end) = memchr::memchr(b'\n', bytes) else { return Ok(None) };
        if matches!(&bytes[..end], b"" | b"\r") {
            self.stage = Stage::Over;
        }
        Ok(Some(end + 1))
    }

    fn data(&mut self, bytes: &[u8], witness: &mut impl Witness) {
        self.received += bytes.len() as u64;
        witness.received(self.received);
        if self.coding.is_none() {
            return;
        }
        if self.body.len() + bytes.len() > MAX_KEPT {
            self.coding = None;
            self.body.clear();
        } else {
            self.body.extend_from_slice(bytes);
        }
    }
}

/// As many of `bytes` as are `left`.
fn most(left: u64, bytes: &[u8]) -> usize {
    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()))
}

// === impl Head ===

impl Head {
    /// `None` while it is not complete.
    fn read(bytes: &[u8], bodiless: bool) -> Result<Option<Head>, Malformed> {
        let mut room = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut response, bytes, &mut room)
            .map_err(|_| Malformed)?;
        let httparse::Status::Complete(length) = parsed else { return Ok(None) };
        let status = response.code.ok_or(Malformed)?;
        let mut announced = Announced { persistent: response.version == Some(1), ..Announced::default() };
        for field in response.headers.iter() {
            announced.note(field.name, field.value)?;
        }
        let bodiless = bodiless || matches!(status, 204 | 304);
        Ok(Some(Head {
            status,
            length,
            framing: if bodiless { Stage::Over } else { announced.framing() },
            coding: announced.coding.unwrap_or(Some(Coding::Identity)),
            // A length beside a coding is how requests are smuggled (RFC 9112, 6.3): nothing may follow it.
            persistent: announced.persistent && !(announced.chunked && announced.length.is_some()),
        }))
    }
}

/// What the fields of a head say.
#[derive(Default)]
struct Announced {
    length: Option<u64>,
    /// There is a transfer coding, and `chunked` is its last.
    chunked: bool,
    /// There is a transfer coding that ends with the connection.
    coded: bool,
    /// `None` inside for one that is not understood.
    coding: Option<Option<Coding>>,
    persistent: bool,
}

// === impl Announced ===

impl Announced {
    fn note(&mut self, name: &str, value: &[u8]) -> Result<(), Malformed> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        // Lengths tell most fields apart at once.
        match name.len() {
            14 if is("content-length") => {
                let length = digits(value).ok_or(Malformed)?;
                if self.length.is_some_and(|before| before != length) {
                    return Err(Malformed);
                }
                self.length = Some(length);
            }
            17 if is("transfer-encoding") => {
                let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
                self.chunked = last.eq_ignore_ascii_case(b"chunked");
                self.coded = !self.chunked;
            }
            16 if is("content-encoding") => {
                self.coding = Some(match value.trim_ascii() {
                    b"" | b"identity" => Some(Coding::Identity),
                    b"gzip" | b"x-gzip" => Some(Coding::Gzip),
                    b"deflate" => Some(Coding::Deflate),
                    _ => None,
                });
            }
            10 if is("connection") => {
                for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    if option.eq_ignore_ascii_case(b"close") {
                        self.persistent = false;
                    } else if option.eq_ignore_ascii_case(b"keep-alive") {
                        self.persistent = true;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn framing(&self) -> Stage {
        match self.length {
            _ if self.chunked => Stage::ChunkSize,
            _ if self.coded => Stage::UntilClose,
            Some(0) => Stage::Over,
            Some(length) => Stage::Length(length),
            None => Stage::UntilClose,
        }
    }
}

/// A number in digits alone: no sign, no space.
fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}
