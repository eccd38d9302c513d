//! Fields of a decoded header block, checked as RFC 9113, section 8, asks, and put into the form of an HTTP/1 head: a
//! capture has one form for both, and the recorder one reader.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use understudy_captures::conservation::Drop;

use crate::tap::head::{self, MAX_HEAD, MAX_HEADERS};
use crate::tap::pending::Method;

/// Collects the fields of one block.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pseudo: [Option<Vec<u8>>; PSEUDO.len()],
    /// Lines of the fields that are not pseudo-fields.
    lines: Vec<u8>,
    count: usize,
    has_host: bool,
    length: Option<u64>,
    event_stream: bool,
    fault: Option<Drop>,
}

const PSEUDO: [&str; 6] = [":method", ":scheme", ":authority", ":path", ":protocol", ":status"];

/// Fields that speak of a connection, which a stream is not.
const OF_CONNECTIONS: [&[u8]; 5] =
    [b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"];

/// A request's head.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) method: Method,
    pub(crate) target: Vec<u8>,
    /// Length of its body, when a field says it.
    pub(crate) length: Option<u64>,
    /// Lines in the form of HTTP/1.
    pub(crate) text: Vec<u8>,
}

/// A response's head.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    /// Length of its body, when a field says it.
    pub(crate) length: Option<u64>,
    /// The body comes in pieces whose instants matter.
    pub(crate) streamed: bool,
    /// Lines in the form of HTTP/1.
    pub(crate) text: Vec<u8>,
}

// === impl Fields ===

impl Fields {
    /// Takes the next field of the block.
    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        if self.fault.is_some() {
            return;
        }
        // gRPC's own libraries agree by a setting to send binary metadata as it is, behind a zero byte; elsewhere it is in
        // base64.
        let encoded;
        let value = match value {
            [0, raw @ ..] if name.ends_with(b"-bin") && raw.len() < MAX_HEAD => {
                encoded = STANDARD_NO_PAD.encode(raw);
                encoded.as_bytes()
            }
            _ => value,
        };
        self.count += 1;
        if self.count > MAX_HEADERS {
            self.fault = Some(Drop::Unparseable);
        } else if self.lines.len() + name.len() + value.len() > MAX_HEAD - 64 {
            self.fault = Some(Drop::OverLimit);
        } else if self.take(name, value).is_none() {
            self.fault = Some(Drop::Unparseable);
        }
    }

    /// Takes a field; `None` when a message with it is malformed.
    fn take(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        let is_text = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
        let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
        if !value.iter().all(is_text) || is_blank(value.first()) || is_blank(value.last()) {
            return None;
        }
        if name.first() == Some(&b':') {
            let which = PSEUDO.iter().position(|pseudo| pseudo.as_bytes() == name)?;
            // Once, and before all others.
            if !self.lines.is_empty() || self.pseudo[which].is_some() {
                return None;
            }
            self.pseudo[which] = Some(value.to_vec());
            return Some(());
        }
        let is_lower_token = |byte: &u8| head::is_token(*byte) && !byte.is_ascii_uppercase();
        if name.is_empty() || !name.iter().all(is_lower_token) || OF_CONNECTIONS.contains(&name) {
            return None;
        }
        match name {
            b"te" if value != b"trailers" => return None,
            b"host" => self.has_host = true,
            b"content-length" => {
                let length = head::content_length(value).ok()?;
                if self.length.is_some_and(|earlier| earlier != length) {
                    return None;
                }
                self.length = Some(length);
            }
            b"content-type" => self.event_stream = head::is_event_stream(value),
            _ => {}
        }
        line(&mut self.lines, name, value);
        Some(())
    }

    /// The head of a request, or what becomes of it without one.
    pub(crate) fn request(mut self) -> Result<RequestHead, Drop> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let [method, scheme, authority, path, protocol, status] = std::mem::take(&mut self.pseudo);
        let method =
            method.filter(|method| !method.is_empty() && method.iter().all(|byte| head::is_token(*byte)));
        let method = method.ok_or(Drop::Unparseable)?;
        let is_tunnel = method == b"CONNECT";
        let target = match (is_tunnel, &path, &scheme, &authority, protocol) {
            (false, Some(path), Some(_), _, None) => path.clone(),
            // A tunnel for another protocol has all of them (RFC 8441).
            (true, Some(path), Some(_), Some(_), Some(_)) => path.clone(),
            (true, None, None, Some(authority), None) => authority.clone(),
            _ => return Err(Drop::Unparseable),
        };
        let is_target = |byte: &u8| *byte > b' ' && *byte != 0x7f;
        if status.is_some() || target.is_empty() || !target.iter().all(is_target) {
            return Err(Drop::Unparseable);
        }
        let mut text = Vec::with_capacity(method.len() + target.len() + self.lines.len() + 64);
        text.extend_from_slice(&method);
        text.push(b' ');
        text.extend_from_slice(&target);
        text.extend_from_slice(b" HTTP/1.1\r\n");
        if let Some(authority) = authority.filter(|_| !self.has_host) {
            line(&mut text, b"host", &authority);
        }
        text.extend_from_slice(&self.lines);
        text.extend_from_slice(b"\r\n");
        let method = match &method[..] {
            b"HEAD" => Method::Head,
            b"CONNECT" => Method::Connect,
            _ => Method::Other,
        };
        Ok(RequestHead { method, target, length: self.length, text })
    }

    /// The head of a response, or what becomes of it without one.
    pub(crate) fn response(mut self) -> Result<ResponseHead, Drop> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let [.., status] = &mut self.pseudo;
        let status = status.take().ok_or(Drop::Unparseable)?;
        if self.pseudo.iter().any(Option::is_some) || status.len() != 3 {
            return Err(Drop::Unparseable);
        }
        let digits = head::content_length(&status).map_err(|_| Drop::Unparseable)?;
        // Streams know no switch of protocols.
        let known = u16::try_from(digits).ok().filter(|status| *status >= 100 && *status != 101);
        let code = known.ok_or(Drop::Unparseable)?;
        let text = [b"HTTP/1.1 ", &status[..], b" \r\n", &self.lines, b"\r\n"].concat();
        let streamed = self.event_stream || self.length.is_none();
        Ok(ResponseHead { status: code, length: self.length, streamed, text })
    }

    /// The lines of trailers with the empty one at their end, or what becomes of a message without them.
    pub(crate) fn trailers(mut self) -> Result<Vec<u8>, Drop> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.pseudo.iter().any(Option::is_some) {
            return Err(Drop::Unparseable);
        }
        self.lines.extend_from_slice(b"\r\n");
        Ok(self.lines)
    }
}

fn line(lines: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        lines.extend_from_slice(part);
    }
}
