//! Why the tap stops following a connection.

/// Why the recording of a connection ended before the connection did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// TLS: only its ends can read it.
    Tls,
    /// Another protocol.
    NotHttp,
    /// A head that is not HTTP/1.
    Malformed,
    /// A line that ends without a carriage return.
    BareLineFeed,
    /// A field folded over several lines.
    FoldedField,
    /// Two lengths that differ, or a length beside a transfer coding.
    AmbiguousLength,
    /// A length that is not a number.
    BadLength,
    /// A transfer coding other than `chunked`.
    TransferCoding,
    /// A chunk that is not framed as one.
    BadChunk,
    /// An HTTP/2 frame that its receiver would refuse.
    BadFrame,
    /// A header block that cannot be decoded.
    BadHeaderBlock,
    /// A table of header compression beyond 64 KiB.
    HeaderTableTooLarge,
    /// A head larger than 64 KiB, or trailers larger than 16 KiB.
    HeadTooLarge,
    /// More than 128 fields.
    TooManyHeaders,
    /// Bytes from the service that answer nothing.
    ResponseWithoutRequest,
    /// More than 128 requests waiting for their responses.
    PipelineTooDeep,
    /// No memory for a head that comes in pieces.
    NoRoom,
    /// The connection became a tunnel: 101 or CONNECT. Its last exchange is recorded.
    Upgraded,
    /// The tap panicked.
    Panic,
}

// === impl Reason ===

impl Reason {
    /// Every reason.
    pub(crate) const ALL: [Reason; 19] = [
        Reason::Tls,
        Reason::NotHttp,
        Reason::Malformed,
        Reason::BareLineFeed,
        Reason::FoldedField,
        Reason::AmbiguousLength,
        Reason::BadLength,
        Reason::TransferCoding,
        Reason::BadChunk,
        Reason::BadFrame,
        Reason::BadHeaderBlock,
        Reason::HeaderTableTooLarge,
        Reason::HeadTooLarge,
        Reason::TooManyHeaders,
        Reason::ResponseWithoutRequest,
        Reason::PipelineTooDeep,
        Reason::NoRoom,
        Reason::Upgraded,
        Reason::Panic,
    ];

    /// Name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reason::Tls => "tls",
            Reason::NotHttp => "not_http",
            Reason::Malformed => "malformed",
            Reason::BareLineFeed => "bare_line_feed",
            Reason::FoldedField => "folded_field",
            Reason::AmbiguousLength => "ambiguous_length",
            Reason::BadLength => "bad_length",
            Reason::TransferCoding => "transfer_coding",
            Reason::BadChunk => "bad_chunk",
            Reason::BadFrame => "bad_frame",
            Reason::BadHeaderBlock => "bad_header_block",
            Reason::HeaderTableTooLarge => "header_table_too_large",
            Reason::HeadTooLarge => "head_too_large",
            Reason::TooManyHeaders => "too_many_headers",
            Reason::ResponseWithoutRequest => "response_without_request",
            Reason::PipelineTooDeep => "pipeline_too_deep",
            Reason::NoRoom => "no_room",
            Reason::Upgraded => "upgraded",
            Reason::Panic => "panic",
        }
    }
}
