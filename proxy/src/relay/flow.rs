//! Moves bytes in one direction: read, write, only then show them to the tap.
//!
//! All connections of a thread read into one scratch buffer. What the other end does not take at once waits in the
//! flow's own buffer, and nothing more is read before it went: that is the backpressure that the two ends would
//! have felt without the sidecar. An idle connection holds no buffer.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::clock::{Clock, Nanos};
use crate::relay::wire::Wire;

/// Reads per turn, after which the other direction and other connections have theirs.
const READS_PER_TURN: u32 = 16;

/// One direction of a relayed connection.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// Bytes read and not yet written: `rest[written..]`.
    rest: Vec<u8>,
    written: usize,
    /// When they were read.
    read_at: Nanos,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// The source sends no more; the sink is to be told.
    Closing,
    /// The sink knows.
    Closed,
    /// The sink takes no more.
    Broken,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Waits for one of the ends.
    Waiting,
    /// Did its share and could go on.
    Yielding,
    /// Nothing will move in this direction any more.
    Over,
    /// The source was reset.
    SourceReset,
}

/// Bytes that were passed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed<'a> {
    pub(crate) bytes: &'a [u8],
    /// When they were read.
    pub(crate) read_at: Nanos,
}

// === impl Flow ===

impl Flow {
    /// Moves what can be moved; shows each piece to `passed` after it was written. `source_gone` says that the source takes
    /// no more from the other direction.
    #[expect(clippy::too_many_arguments, reason = "both ends, and what all connections of a thread share")]
    pub(crate) fn turn(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Wire,
        sink: &mut impl Wire,
        source_gone: bool,
        scratch: &mut [u8],
        clock: &Clock,
        passed: &mut impl FnMut(Passed<'_>),
    ) -> Turn {
        let (source, sink) = (source.socket(), sink.socket());
        let mut reads = 0;
        loop {
            if self.written < self.rest.len() {
                match Pin::new(&mut *sink).poll_write(cx, &self.rest[self.written..]) {
                    Poll::Pending => return Turn::Waiting,
                    Poll::Ready(Ok(0) | Err(_)) => return self.break_off(),
                    Poll::Ready(Ok(n)) => {
                        let bytes = &self.rest[self.written..self.written + n];
                        passed(Passed { bytes, read_at: self.read_at });
                        self.written += n;
                        if self.written == self.rest.len() {
                            self.rest = Vec::new();
                            self.written = 0;
                        }
                        continue;
                    }
                }
            }
            match self.state {
                State::Open => {}
                State::Closing => match Pin::new(&mut *sink).poll_shutdown(cx) {
                    Poll::Pending => return Turn::Waiting,
                    // An error says that the sink is closed already.
                    Poll::Ready(Ok(()) | Err(_)) => self.state = State::Closed,
                },
                State::Closed | State::Broken => return Turn::Over,
            }
            if self.state != State::Open {
                continue;
            }
            if reads == READS_PER_TURN {
                return Turn::Yielding;
            }
            reads += 1;
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(&mut *source).poll_read(cx, &mut buffer) {
                Poll::Pending => return Turn::Waiting,
                Poll::Ready(Err(_)) => return Turn::SourceReset,
                // Linux tells of a reset once, and the write that met it was told: a read then looks like an end.
                Poll::Ready(Ok(())) if buffer.filled().is_empty() && source_gone => return Turn::SourceReset,
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    self.state = State::Closing;
                    continue;
                }
                Poll::Ready(Ok(())) => {}
            }
            let bytes = buffer.filled();
            let read_at = clock.now();
            let n = match Pin::new(&mut *sink).poll_write(cx, bytes) {
                Poll::Pending => 0,
                Poll::Ready(Ok(0) | Err(_)) => return self.break_off(),
                Poll::Ready(Ok(n)) => n,
            };
            if n < bytes.len() {
                self.rest = bytes[n..].to_vec();
                self.read_at = read_at;
            }
            if n > 0 {
                passed(Passed { bytes: &bytes[..n], read_at });
            }
        }
    }

    /// Whether the source has sent all it will.
    pub(crate) fn source_closed(&self) -> bool {
        matches!(self.state, State::Closing | State::Closed)
    }

    /// Whether the sink took no more although there was more.
    pub(crate) fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// Whether nothing waits to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn break_off(&mut self) -> Turn {
        self.state = State::Broken;
        self.rest = Vec::new();
        self.written = 0;
        Turn::Over
    }
}
