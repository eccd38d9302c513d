//! One request, from its intended instant to its end.

use std::rc::Rc;

use super::clock::Clock;
use super::lane::{Connection, Grant, Lane, Route};
use super::wire::{Broken, Coding, Complete, Witness};
use crate::outcome::Kind;
use crate::schedule::Prepared;

/// When the parts of a request happened, so far as they did; nanoseconds since the run began, 0 for what did not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    pub(super) dispatched: u64,
    pub(super) sent: u64,
    pub(super) first_byte: u64,
    pub(super) status: u16,
    pub(super) received: u32,
    pub(super) reused: bool,
    /// Waited because every allowed connection was busy.
    pub(super) queued: bool,
}

/// A complete response.
pub(super) struct Reply {
    /// How its body is coded, when there may be an answer in it: the connection has it.
    pub(super) kept: Option<Coding>,
    /// To be given back, if it may carry another request.
    pub(super) connection: Connection,
    pub(super) persistent: bool,
}

/// What a request carries besides what was recorded.
#[derive(Clone, Debug)]
pub(super) struct Label {
    /// Names the run.
    pub(super) run: String,
    /// High half of every trace id of the run; not 0.
    pub(super) trace: u64,
}

/// Which request it is: candidate, iteration, exchange.
pub(super) type Place = (u16, u16, u32);

/// Notes in `marks` what is seen of a response.
struct Noting<'a> {
    marks: &'a mut Marks,
    clock: &'a Clock,
}

impl Witness for Noting<'_> {
    fn first_byte(&mut self) {
        self.marks.first_byte = self.clock.now();
    }

    fn status(&mut self, status: u16) {
        self.marks.status = status;
    }

    fn received(&mut self, bytes: u64) {
        self.marks.received = u32::try_from(bytes).unwrap_or(u32::MAX);
    }
}

// === impl Label ===

impl Label {
    /// Writes the head of a request as it goes on the wire.
    fn write(&self, route: &Route, prepared: &Prepared, place: Place, out: &mut Vec<u8>) {
        let mut put = |part: &[u8]| out.extend_from_slice(part);
        put(&prepared.method);
        put(b" ");
        put(route.prefix.as_bytes());
        put(&prepared.target);
        put(b" HTTP/1.1\r\nHost: ");
        put(route.host.as_bytes());
        put(b"\r\n");
        put(&prepared.fields);
        if prepared.has_length {
            put(b"Content-Length: ");
            put(itoa::Buffer::new().format(prepared.body.len()).as_bytes());
            put(b"\r\n");
        }
        put(b"x-understudy-run: ");
        put(self.run.as_bytes());
        put(b"\r\ntraceparent: ");
        put(&self.trace_parent(place));
        put(b"\r\n\r\n");
    }

    /// A W3C `traceparent`, sampled. The low half of the trace id names candidate, iteration and exchange, so that a
    /// trace leads back to the outcome.
    fn trace_parent(&self, (candidate, iteration, exchange): Place) -> [u8; 55] {
        let place = u64::from(candidate) << 48 | u64::from(iteration) << 32 | u64::from(exchange);
        // Spread over all bits, so that samplers that look at some of them see chance; odd, so never 0.
        let span = place.wrapping_add(self.trace).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut parent = *b"00-0000000000000000ffffffffffffffff-0000000000000000-01";
        hexadecimal(self.trace, &mut parent[3..19]);
        hexadecimal(place, &mut parent[19..35]);
        hexadecimal(span, &mut parent[36..52]);
        parent
    }
}

/// Writes a number in lower-case digits over all of `room`.
fn hexadecimal(mut number: u64, room: &mut [u8]) {
    for place in room.iter_mut().rev() {
        *place = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

/// Sends a request and reads its response whole. What happens until then is left in `marks`, also when this is
/// dropped at a deadline, which closes the connection.
pub(super) async fn attempt(
    lane: &Rc<Lane>,
    label: &Label,
    prepared: &Prepared,
    place: Place,
    clock: &Clock,
    marks: &mut Marks,
) -> Result<Reply, Kind> {
    let mut connection = connection(lane, clock, marks).await?;
    marks.sent = clock.now();
    marks.reused = connection.served;
    let head = |out: &mut Vec<u8>| label.write(&lane.route, prepared, place, out);
    let bodiless = &prepared.method[..] == b"HEAD";
    let complete =
        connection.wire.exchange(head, &prepared.body, bodiless, &mut Noting { marks, clock }).await;
    match complete {
        Ok(Complete { kept, persistent }) => Ok(Reply { kept, connection, persistent }),
        Err(Broken::Ended | Broken::Malformed) => Err(Kind::Reset),
    }
}

async fn connection(lane: &Rc<Lane>, clock: &Clock, marks: &mut Marks) -> Result<Connection, Kind> {
    let grant = match lane.take() {
        Some(grant) => grant,
        None => {
            marks.queued = true;
            lane.wait().await
        }
    };
    marks.dispatched = clock.now();
    match grant {
        // Waiting in line may have cost it its life.
        Grant::Connection(connection) if connection.wire.is_spent() => {
            connection.into_slot().connect().await.map_err(|_| Kind::ConnectError)
        }
        Grant::Connection(connection) => Ok(connection),
        Grant::Slot(slot) => slot.connect().await.map_err(|_| Kind::ConnectError),
    }
}
