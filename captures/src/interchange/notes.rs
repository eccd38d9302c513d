//! What could not be carried over as it was: named, counted, and the first places of each.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::exchange::{Ending, Exchange};

/// Places kept of each note; enough to look at, bounded for a file that is wrong throughout.
const PLACES: usize = 3;

/// What a note means for what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is not in the output.
    LeftOut,
    /// It is in the output, and is not what it was.
    Changed,
    /// It is in the output as it was; worth knowing all the same.
    Remark,
}

/// Where in a file something was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Line, from 1.
    Line(u64),
    /// Byte offset, from 0, after decompression.
    Byte(u64),
}

/// Counts by note.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// The file being read.
    path: PathBuf,
    counts: BTreeMap<Note, Count>,
    /// Exchanges that the sanitizer refused, by its reason.
    unsanitizable: BTreeMap<String, u64>,
}

/// How often, and where first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many times.
    pub count: u64,
    /// The first places, as `file:line` or `file: byte offset`.
    pub first: Vec<String>,
}

macro_rules! notes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $effect:ident, $text:literal;)+) => {
        /// Something that could not be carried over as it was.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Note {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Note {
            /// Every note.
            pub const ALL: &[Note] = &[$(Note::$variant),+];

            /// Name in JSON and in the documentation.
            pub fn name(self) -> &'static str {
                match self { $(Note::$variant => $name,)+ }
            }

            /// What it means for what was read.
            pub fn effect(self) -> Effect {
                match self { $(Note::$variant => Effect::$effect,)+ }
            }

            /// For people, before a count.
            pub fn text(self) -> &'static str {
                match self { $(Note::$variant => $text,)+ }
            }
        }
    };
}

notes! {
    // === reading ===
    /// Not a record of this format.
    Unreadable = "unreadable", LeftOut, "records that cannot be read";
    /// The message in a record is not HTTP/1.
    NotHttp = "not_http", LeftOut, "messages that do not read as HTTP";
    /// The instant is no date between 1970 and 2554.
    BadInstant = "bad_instant", LeftOut, "records whose instant is missing or out of range";
    /// Larger than is read.
    OverLimit = "over_limit", LeftOut, "records over 64 MiB";
    /// The file ends inside a record.
    TornTail = "torn_tail", LeftOut, "records that the end of the file cuts";
    /// The gzip stream is damaged or cut.
    TornGzip = "torn_gzip", LeftOut, "gzip streams that are damaged; what follows in them is lost";
    /// A response whose request is not in the file, or too far away.
    ResponseWithoutRequest = "response_without_request", LeftOut, "responses without request";
    /// A response of a replay, not of production.
    ReplayedResponse = "replayed_response", LeftOut, "responses of a replay (type 3)";
    /// A second request under one id.
    DuplicateId = "duplicate_id", Changed, "ids that occur twice; the later exchange has another";
    /// No response in the file.
    NoResponse = "no_response", Remark, "no response";
    /// An instant before that of the record before.
    OutOfOrder = "out_of_order", Remark, "records out of order; a capture is read in order of arrival";
    /// The separator occurs in a body, told from a real one by the body's length.
    SeparatorInBody = "separator_in_body", Remark, "bodies that hold the separator, recovered by their length";
    /// A body is shorter than declared.
    BodyCut = "body_cut", Changed, "bodies shorter than they declare; marked truncated";
    /// Bytes after the end of a message.
    BytesAfterBody = "bytes_after_body", LeftOut, "messages with bytes after their end; those are ignored";
    /// The source says that there was a body and does not have it.
    BodyAbsent = "body_absent", Changed, "bodies that the source does not have; marked truncated";
    /// A body made again of its parameters.
    FormRebuilt = "form_rebuilt", Changed, "form bodies made again from their parameters";
    /// A query made again of its parameters.
    QueryRebuilt = "query_rebuilt", Changed, "queries made again from their parameters";
    /// The source holds content that was already decoded.
    ContentDecoded = "content_decoded", Remark, "bodies that the source holds decoded; content-encoding noted";
    /// `:authority` and its kind.
    PseudoFields = "pseudo_fields", Changed, "pseudo fields of HTTP/2 taken out of the headers";
    /// The host stands in the URL alone.
    HostFromUrl = "host_from_url", Changed, "host field taken from the URL";
    /// HTTP/3.
    Http3 = "http3", Changed, "HTTP/3 exchanges recorded as HTTP/2";
    /// No version that is known.
    VersionUnknown = "version_unknown", Changed, "versions that are unknown, taken for HTTP/1.1";
    /// The source does not tell connections apart.
    NoConnection = "no_connection", Changed, "connections unknown; each exchange has one of its own";
    /// Nothing finer than a second.
    ClockSecond = "clock_1s", Changed, "clock resolution 1 s";
    /// Nothing finer than a millisecond.
    ClockMilli = "clock_1ms", Changed, "clock resolution 1 ms";
    /// The log does not say how long it took.
    NoDuration = "no_duration", Changed, "durations unknown; the arrival is the instant of the end";
    /// Address and user of a client.
    ClientDropped = "client_dropped", LeftOut, "client addresses and user names; a capture has no place for them";
    /// Messages of a WebSocket.
    WebSocket = "websocket_messages", LeftOut, "exchanges whose WebSocket messages are not kept";
    /// Texts put together to reach a length.
    TextsJoined = "texts_joined", Changed, "texts joined to reach the length in the trace";
    /// A text cut to a length.
    TextCut = "text_cut", Changed, "texts cut to the length in the trace";
    /// A text used as it is, though the trace has another length.
    LengthIgnored = "length_ignored", Changed, "lengths in the trace that the text does not have";
    /// The request has no place for a length of the answer.
    OutputLengthDropped = "output_length_dropped", LeftOut, "lengths of answers; the request has no place for them";
    /// Cache blocks of a trace.
    CacheBlocksDropped = "cache_blocks_dropped", LeftOut, "hashes of cached blocks; the texts share no prefixes";
    /// A redaction class that is not one of ours.
    RedactionUnknown = "redaction_unknown", Changed, "redactions of unknown classes, named `unknown`";

    // === writing ===
    /// Trailer fields.
    Trailers = "trailers", LeftOut, "trailers not representable";
    /// Instants of streamed pieces.
    ChunkInstants = "chunk_instants", LeftOut, "instants of streamed pieces dropped";
    /// Bytes that are not text.
    Base64 = "base64", Changed, "binary bodies base64-encoded";
    /// Bytes that are not text where only text can stand.
    NotText = "not_text", Changed, "fields that are not text; each odd byte became U+FFFD";
    /// A body that was decoded when it was recorded.
    Decoded = "decoded", Changed, "bodies that were compressed on the wire are written decoded";
    /// What sanitizing replaced.
    Redactions = "redactions", LeftOut, "redaction marks dropped; an import cannot tell which inputs were changed";
    /// Connections.
    Connections = "connections", LeftOut, "connections not representable";
    /// Connection positions.
    Ids = "ids", LeftOut, "exchange ids not representable";
    /// How an exchange ended.
    Endings = "endings", LeftOut, "endings other than complete not representable";
    /// Responses.
    Responses = "responses", LeftOut, "responses; the tool asks for new ones";
    /// Arrivals.
    Arrivals = "arrivals", LeftOut, "arrivals; the tool sends at its own pace";
    /// Only a part of the request body.
    RequestIncomplete = "request_incomplete", LeftOut, "requests whose body was not recorded whole";
    /// Only a part of the response body.
    ResponseIncomplete = "response_incomplete", Changed, "response bodies that were not recorded whole; written empty";
    /// No host is recorded.
    NoHost = "no_host", LeftOut, "requests without host; give --target URL";
    /// The scheme is not recorded.
    SchemeAssumed = "scheme_assumed", Changed, "URLs with http, as the scheme is not recorded";
    /// The target of the tool, not the recorded host.
    HostReplaced = "host_replaced", Changed, "recorded hosts replaced by the target";
    /// Fields of the recorded connection.
    ConnectionFields = "connection_fields", LeftOut, "requests without the fields of their connection";
    /// Credentials.
    CredentialFields = "credential_fields", LeftOut, "requests without their credential fields";
    /// A field that occurs twice.
    RepeatedFields = "repeated_fields", Changed, "fields that occur twice, joined by a comma";
    /// Length or coding set for the body as it is written.
    Framing = "framing", Changed, "messages whose length field fits the body as written";
    /// HTTP/2 written as HTTP/1.1.
    Http2AsHttp1 = "http2_as_http1", Changed, "HTTP/2 exchanges written as HTTP/1.1";
    /// Another protocol.
    Upgrade = "upgrade", LeftOut, "requests that switch to another protocol";
    /// A target that a URL cannot hold.
    Unsendable = "unsendable", LeftOut, "requests whose target or fields the tool cannot send";
    /// HEAD, whose answers the tool cannot read.
    Head = "head", LeftOut, "HEAD requests; the tool waits for a body that does not come";
}

// === impl Effect ===

impl Effect {
    /// Name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Effect::LeftOut => "left_out",
            Effect::Changed => "changed",
            Effect::Remark => "remark",
        }
    }
}

// === impl Notes ===

impl Notes {
    /// Places from here on are in this file.
    pub fn enter(&mut self, path: &Path) {
        self.path = path.to_owned();
    }

    /// Counts what only a recorder knows of an exchange, and no message format can say.
    pub(super) fn add_recorders_own(&mut self, exchange: &Exchange) {
        if !exchange.chunks.is_empty() {
            self.add(Note::ChunkInstants);
        }
        if !exchange.redactions.is_empty() {
            self.add(Note::Redactions);
        }
        if !matches!(exchange.ending, Ending::Complete | Ending::Unobserved) {
            self.add(Note::Endings);
        }
    }

    /// Counts a note.
    pub fn add(&mut self, note: Note) {
        self.counts.entry(note).or_default().count += 1;
    }

    /// Counts a note at a place.
    pub fn at(&mut self, note: Note, place: Place) {
        let count = self.counts.entry(note).or_default();
        count.count += 1;
        if count.first.len() < PLACES {
            count.first.push(Located { path: &self.path, place }.to_string());
        }
    }

    /// Counts an exchange that the sanitizer refused; `reason` never quotes traffic.
    pub fn refuse(&mut self, reason: String) {
        *self.unsanitizable.entry(reason).or_default() += 1;
    }

    /// How often `note` was met.
    pub fn count(&self, note: Note) -> u64 {
        self.counts.get(&note).map_or(0, |count| count.count)
    }

    /// Every note that was met.
    pub fn iter(&self) -> impl Iterator<Item = (Note, &Count)> {
        self.counts.iter().map(|(note, count)| (*note, count))
    }

    /// Reasons of the sanitizer, and how many exchanges were refused for each.
    pub fn unsanitizable(&self) -> impl Iterator<Item = (&str, u64)> {
        self.unsanitizable.iter().map(|(reason, count)| (&**reason, *count))
    }
}

/// A place in a file, for people.
pub(super) struct Located<'a> {
    pub(super) path: &'a Path,
    pub(super) place: Place,
}

impl fmt::Display for Located<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Line(line) => write!(f, "{}:{line}", self.path.display()),
            Place::Byte(offset) => write!(f, "{}: byte {offset}", self.path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_only_the_first_places_are_kept() {
        let names: std::collections::BTreeSet<_> = Note::ALL.iter().map(|note| note.name()).collect();
        assert_eq!(names.len(), Note::ALL.len());
        let mut notes = Notes::default();
        notes.enter(Path::new("a.gor"));
        for line in 1..=5 {
            notes.at(Note::Unreadable, Place::Line(line));
        }
        let (_, count) = notes.iter().next().unwrap();
        assert_eq!(
            count,
            &Count { count: 5, first: ["a.gor:1", "a.gor:2", "a.gor:3"].map(String::from).to_vec() }
        );
    }
}
