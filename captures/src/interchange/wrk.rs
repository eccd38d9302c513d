//! A script for wrk: every request ready to be sent, one after the other.
//!
//! wrk is a closed loop and keeps its own pace, so instants are lost. A Lua function holds at most 2^16 constants; the
//! requests come in functions of a few hundred each.

use std::io::{self, Write};

use super::export::{Load, Sink};
use super::notes::{Note, Notes};
use crate::exchange::Exchange;

/// Requests in one function, two constants each.
const IN_ONE_FUNCTION: u64 = 500;

const BEGIN: &str = "\
-- Requests of a capture, for: wrk -s SCRIPT http://HOST:PORT
-- Each thread begins at another place, and goes on from the first request behind the last.
local before, after = {}, {}
local function add(line, rest)
  before[#before + 1] = line
  after[#after + 1] = rest
end
";

const END: &str = r#"
local threads = 0
function setup(thread)
  thread:set("place", threads)
  threads = threads + 1
end

local requests, next = {}, 0
function init(args)
  local host = "Host: " .. wrk.headers["Host"] .. "\r\n"
  for i = 1, #before do
    requests[i] = before[i] .. host .. after[i]
  end
  next = (place or 0) * 7919 % math.max(#requests, 1)
end

function request()
  next = next % #requests + 1
  return requests[next]
end
"#;

/// Writes a script.
pub(super) struct WrkWriter<W> {
    out: W,
    written: u64,
}

impl<W: Write> WrkWriter<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, written: 0 }
    }
}

impl<W: Write> Sink for WrkWriter<W> {
    fn write(&mut self, exchange: &Exchange, notes: &mut Notes) -> io::Result<bool> {
        if exchange.request.method.eq_ignore_ascii_case(b"HEAD") {
            notes.add(Note::Head);
            return Ok(false);
        }
        let Some(load) = Load::of(exchange, notes) else { return Ok(false) };
        notes.add(Note::Arrivals);
        let mut line = Vec::new();
        write!(line, "{} {} HTTP/1.1\r\n", load.method, load.target)?;
        let mut rest = Vec::new();
        for (name, value) in &load.fields {
            write!(rest, "{name}: {value}\r\n")?;
        }
        let body = &exchange.request.body.bytes;
        // A service may insist on a length where the recording had one.
        if !body.is_empty() || exchange.request.headers.get("content-length").is_some() {
            write!(rest, "Content-Length: {}\r\n", body.len())?;
        }
        rest.extend_from_slice(b"\r\n");
        rest.extend_from_slice(body);
        if self.written == 0 {
            self.out.write_all(BEGIN.as_bytes())?;
        }
        if self.written.is_multiple_of(IN_ONE_FUNCTION) {
            let end = if self.written == 0 { "" } else { "end)();\n" };
            writeln!(self.out, "{end}(function()")?;
        }
        self.out.write_all(b"add(")?;
        quote(&line, &mut self.out)?;
        self.out.write_all(b", ")?;
        quote(&rest, &mut self.out)?;
        self.out.write_all(b")\n")?;
        self.written += 1;
        Ok(true)
    }

    fn finish(&mut self, _: &mut Notes) -> io::Result<()> {
        if self.written > 0 {
            self.out.write_all(b"end)();\n")?;
            self.out.write_all(END.as_bytes())?;
        } else {
            self.out.write_all(b"error(\"the capture held no request that wrk can send\")\n")?;
        }
        self.out.flush()
    }
}

/// A Lua string. Bytes beyond plain text are written as three digits, which no digit behind them can join.
fn quote(bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    let mut quoted = Vec::with_capacity(bytes.len() + 2);
    quoted.push(b'"');
    for byte in bytes {
        match byte {
            b'\r' => quoted.extend_from_slice(b"\\r"),
            b'\n' => quoted.extend_from_slice(b"\\n"),
            b'"' | b'\\' => quoted.extend_from_slice(&[b'\\', *byte]),
            b' '..=b'~' => quoted.push(*byte),
            _ => write!(quoted, "\\{byte:03}")?,
        }
    }
    quoted.push(b'"');
    out.write_all(&quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lua_string_holds_any_byte() {
        let mut out = Vec::new();
        quote(b"a\"\\\r\n\x001\xff", &mut out).unwrap();
        assert_eq!(out, br#""a\"\\\r\n\0001\255""#);
    }
}
