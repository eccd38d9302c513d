//! One HTTP/1.1 connection, as a client.
//!
//! A replay sends recorded bytes: names of fields as they were spelled, in their order, and nothing that a client library
//! would add or fold. It also sends very many, so a request is written with one system call from a buffer that is
//! reused, and a response is read where it lands. hyper's client does neither (it sends names in lower case, and costs
//! three times as much user time); it serves where there is more to a protocol than framing.

mod response;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

pub(super) use self::response::{Coding, Incoming, Malformed};

/// Bytes that are read at a time, by whichever connection of a thread has some.
const READ: usize = 64 * 1024;

/// Bodies up to this size are copied behind their head and written with it; larger ones are written from where they are.
const COPIED: usize = 16 * 1024;

/// Where the connections of one thread read into. Nothing stays in it.
pub(super) type Scratch = Rc<RefCell<Box<[u8]>>>;

/// An open connection.
pub(super) struct Wire {
    stream: TcpStream,
    scratch: Scratch,
    outbox: Vec<u8>,
    body: Vec<u8>,
}

/// Why there is no complete response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The connection ended before its response did.
    Ended,
    /// What came is no HTTP response.
    Malformed,
}

/// A complete response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Complete {
    /// How the body is coded, if it was kept: [`Wire::body`] has it.
    pub(super) kept: Option<Coding>,
    /// Another request may follow on the connection.
    pub(super) persistent: bool,
}

/// What is seen of a response while it comes.
pub(super) trait Witness {
    /// The first bytes of it are here.
    fn first_byte(&mut self);
    /// Its status is known.
    fn status(&mut self, status: u16);
    /// So many bytes of its body have come.
    fn received(&mut self, bytes: u64);
}

/// A place for the connections of a thread to read into.
pub(super) fn scratch() -> Scratch {
    Rc::new(RefCell::new(vec![0; READ].into_boxed_slice()))
}

impl From<Malformed> for Broken {
    fn from(_: Malformed) -> Broken {
        Broken::Malformed
    }
}

// === impl Wire ===

impl Wire {
    /// Opens a connection.
    pub(super) async fn connect(address: SocketAddr, scratch: Scratch) -> io::Result<Wire> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Wire { stream, scratch, outbox: Vec::new(), body: Vec::new() })
    }

    /// Whether nothing can be sent any more: the other side closed the idle connection, or spoke unasked.
    pub(super) fn is_spent(&self) -> bool {
        match self.stream.poll_read_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => false,
            Poll::Ready(Err(_)) => true,
            Poll::Ready(Ok(())) => match self.stream.try_read(&mut [0]) {
                Err(error) => error.kind() != io::ErrorKind::WouldBlock,
                Ok(_) => true,
            },
        }
    }

    /// Sends a request, whose head `write` puts into a buffer, and reads its response whole. `bodiless` when a response
    /// to it has no body whatever its fields say (`HEAD`).
    pub(super) async fn exchange(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>),
        body: &[u8],
        bodiless: bool,
        witness: &mut impl Witness,
    ) -> Result<Complete, Broken> {
        let Wire { stream, scratch, outbox, body: kept } = self;
        outbox.clear();
        write(outbox);
        let apart = if body.len() <= COPIED {
            outbox.extend_from_slice(body);
            &[]
        } else {
            body
        };
        kept.clear();
        let mut sending = Sending { head: outbox, body: apart };
        let mut incoming = Incoming::new(bodiless, kept);
        // Both ways at once: who refuses a large body answers before it is sent, and then may not read the rest.
        poll_fn(|context| {
            sending.poll(stream, context);
            receive(stream, &mut scratch.borrow_mut(), &mut incoming, witness, context)
        })
        .await?;
        Ok(Complete { kept: incoming.kept(), persistent: sending.is_over() && incoming.is_persistent() })
    }

    /// The body of the last response, when it was kept.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }
}

/// Reads until the response is over.
fn receive(
    stream: &mut TcpStream,
    scratch: &mut [u8],
    incoming: &mut Incoming<'_>,
    witness: &mut impl Witness,
    context: &mut Context<'_>,
) -> Poll<Result<(), Broken>> {
    loop {
        let mut buffer = ReadBuf::new(scratch);
        match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(_)) => return Poll::Ready(Err(Broken::Ended)),
            Poll::Ready(Ok(())) => {}
        }
        let bytes = buffer.filled();
        if bytes.is_empty() {
            return Poll::Ready(incoming.close().map_err(|_| Broken::Ended));
        }
        incoming.take(bytes, witness)?;
        if incoming.is_over() {
            return Poll::Ready(Ok(()));
        }
    }
}

/// What is still to be written.
struct Sending<'a> {
    head: &'a [u8],
    body: &'a [u8],
}

// === impl Sending ===

impl Sending<'_> {
    fn is_over(&self) -> bool {
        self.head.is_empty() && self.body.is_empty()
    }

    /// Writes what the connection takes now.
    fn poll(&mut self, stream: &mut TcpStream, context: &mut Context<'_>) {
        while !self.is_over() {
            let parts = [IoSlice::new(self.head), IoSlice::new(self.body)];
            let written = match (self.head, self.body) {
                (whole, []) => Pin::new(&mut *stream).poll_write(context, whole),
                _ => Pin::new(&mut *stream).poll_write_vectored(context, &parts),
            };
            // An error is left to the reading side: an answer may have come before the connection broke.
            let Poll::Ready(Ok(written)) = written else { return };
            let of_head = written.min(self.head.len());
            self.head = &self.head[of_head..];
            self.body = &self.body[written - of_head..];
        }
    }
}

#[cfg(test)]
mod tests;
