//! Response bodies, whole or broken on request.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// A body of known length.
#[derive(Debug)]
pub(crate) struct Reply {
    pieces: VecDeque<Bytes>,
    /// Bytes promised by `content-length`.
    promised: u64,
    /// Time before each piece.
    gap: Duration,
    pause: Option<Pin<Box<Sleep>>>,
    ending: Ending,
}

/// The body was cut off on request.
#[derive(Debug, thiserror::Error)]
#[error("the body is cut off, as the fault asks")]
pub(crate) struct Truncated;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Whole,
    /// The promised rest does not come; hyper must have flushed what did before it learns of that.
    CutAfterFlush,
    Cut,
}

// === impl Reply ===

impl Reply {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let promised = bytes.len() as u64;
        let pieces = if bytes.is_empty() { VecDeque::new() } else { VecDeque::from([bytes]) };
        Self { pieces, promised, gap: Duration::ZERO, pause: None, ending: Ending::Whole }
    }

    /// The same bytes in up to ten pieces, the last of them after `over`.
    pub(crate) fn slow(bytes: Bytes, over: Duration) -> Self {
        let size = bytes.len().div_ceil(10).max(1);
        let pieces: VecDeque<Bytes> =
            (0..bytes.len()).step_by(size).map(|at| bytes.slice(at..bytes.len().min(at + size))).collect();
        let gap = over / u32::try_from(pieces.len().max(1)).unwrap_or(u32::MAX);
        Self { promised: bytes.len() as u64, pieces, gap, pause: None, ending: Ending::Whole }
    }

    /// Promises all bytes, sends half of them and fails.
    pub(crate) fn truncated(bytes: Bytes) -> Self {
        let half = bytes.slice(..bytes.len() / 2);
        Self { promised: bytes.len() as u64, ending: Ending::CutAfterFlush, ..Self::whole(half) }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Truncated;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        if self.pieces.is_empty() {
            return match self.ending {
                Ending::Whole => Poll::Ready(None),
                Ending::CutAfterFlush => {
                    self.ending = Ending::Cut;
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                Ending::Cut => Poll::Ready(Some(Err(Truncated))),
            };
        }
        if !self.gap.is_zero() {
            let gap = self.gap;
            let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(gap)));
            std::task::ready!(pause.as_mut().poll(context));
            pause.as_mut().reset(Instant::now() + gap);
        }
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.ending == Ending::Whole
    }

    fn size_hint(&self) -> SizeHint {
        let left: usize = self.pieces.iter().map(Bytes::len).sum();
        SizeHint::with_exact(if self.ending == Ending::Whole { left as u64 } else { self.promised })
    }
}

impl From<Infallible> for Truncated {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
