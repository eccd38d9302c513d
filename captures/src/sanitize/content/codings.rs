//! Content codings: what a body was compressed with, undone within bounds.

use std::io::Read;

use bytes::Bytes;

use super::Reason;
use crate::exchange::Headers;

/// A decoder's window may take this much memory (2^23 bytes, the limit of RFC 9659 for zstd on the web).
const ZSTD_WINDOW_LOG: u32 = 23;

/// Bytes that the brotli decoder reads and writes at a time; its window (up to 2^24 bytes) comes on top.
const BROTLI_BUFFER: usize = 16 << 10;

/// More codings than any sender applies; each costs the decoded size once more.
const MOST_CODINGS: usize = 4;

const TORN: Reason = "the content coding is damaged";
const UNKNOWN: Reason = "the content coding is unknown";

/// The body without its content codings, and these as they were declared; `None` where none was.
pub(super) fn decoded(
    bytes: Bytes,
    headers: &Headers,
    max_decoded: u64,
) -> Result<(Bytes, Option<String>), Reason> {
    let mut codings = Vec::new();
    for (_, value) in headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"content-encoding")) {
        let value = std::str::from_utf8(value).map_err(|_| UNKNOWN)?;
        codings.extend(value.split(',').map(|c| c.trim().to_ascii_lowercase()));
    }
    codings.retain(|c| !c.is_empty() && c != "identity");
    if codings.is_empty() {
        return Ok((bytes, None));
    }
    if codings.len() > MOST_CODINGS {
        return Err("more content codings than any sender applies");
    }
    let mut plain = bytes;
    // The last coding was applied last.
    for coding in codings.iter().rev() {
        plain = undo(coding, &plain, max_decoded)?.into();
    }
    Ok((plain, Some(codings.join(", "))))
}

/// Undoes one coding.
pub(super) fn undo(coding: &str, bytes: &[u8], max_decoded: u64) -> Result<Vec<u8>, Reason> {
    match coding {
        "gzip" | "x-gzip" => read(flate2::read::MultiGzDecoder::new(bytes), max_decoded),
        // RFC 9110 says zlib; some senders write the bare stream.
        "deflate" => match read(flate2::read::ZlibDecoder::new(bytes), max_decoded) {
            Err(TORN) => read(flate2::read::DeflateDecoder::new(bytes), max_decoded),
            result => result,
        },
        "br" => read(brotli_decompressor::Decompressor::new(bytes, BROTLI_BUFFER), max_decoded),
        "zstd" => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(|_| TORN)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(|_| TORN)?;
            read(decoder, max_decoded)
        }
        _ => Err(UNKNOWN),
    }
}

fn read(decoder: impl Read, max_decoded: u64) -> Result<Vec<u8>, Reason> {
    let mut plain = Vec::new();
    decoder.take(max_decoded.saturating_add(1)).read_to_end(&mut plain).map_err(|_| TORN)?;
    if plain.len() as u64 > max_decoded {
        return Err("the decoded body is over the policy's limit");
    }
    Ok(plain)
}
