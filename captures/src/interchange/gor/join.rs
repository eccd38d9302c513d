//! Finds the response of a request by their id, whichever comes first, with bounded look-ahead.

use std::collections::{HashMap, VecDeque};

use super::super::notes::{Note, Notes, Place};
use crate::exchange::{Request, Response};

/// Messages that wait for their other half.
const MAX_WAITING: usize = 4096;
/// Bytes of their bodies.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// A request that waits for its response.
pub(super) struct Asked {
    pub(super) instant: u64,
    pub(super) latency: Option<u64>,
    pub(super) request: Request,
}

/// A response, waiting when its request has not been seen.
pub(super) struct Answer {
    pub(super) instant: u64,
    pub(super) latency: Option<u64>,
    pub(super) response: Response,
}

/// Requests and responses that wait for each other.
#[derive(Default)]
pub(super) struct Join {
    requests: Waiting<Asked>,
    responses: Waiting<Answer>,
}

/// Halves by id, oldest first.
struct Waiting<T> {
    by_id: HashMap<Vec<u8>, (u64, T)>,
    order: VecDeque<(u64, Vec<u8>)>,
    next: u64,
    bytes: usize,
}

trait Weight {
    fn weight(&self) -> usize;
}

// === impl Join ===

impl Join {
    /// Takes a request; gives an exchange that is complete or has waited long enough.
    pub(super) fn request(
        &mut self,
        id: Vec<u8>,
        asked: Asked,
        notes: &mut Notes,
        place: Place,
    ) -> Option<(Asked, Option<Answer>)> {
        if let Some(answer) = self.responses.remove(&id) {
            return Some((asked, Some(answer)));
        }
        let earlier = self.requests.remove(&id);
        if earlier.is_some() {
            notes.at(Note::DuplicateId, place);
        }
        self.requests.insert(id, asked);
        earlier.map(|earlier| (earlier, None))
    }

    /// Takes a response; gives the exchange that it completes.
    pub(super) fn response(
        &mut self,
        id: Vec<u8>,
        answer: Answer,
        notes: &mut Notes,
        place: Place,
    ) -> Option<(Asked, Answer)> {
        if let Some(asked) = self.requests.remove(&id) {
            return Some((asked, answer));
        }
        if self.responses.remove(&id).is_some() {
            notes.at(Note::ResponseWithoutRequest, place);
        }
        self.responses.insert(id, answer);
        if self.responses.is_full() {
            self.responses.pop();
            notes.add(Note::ResponseWithoutRequest);
        }
        None
    }

    /// The request that waited longest, when too many wait.
    pub(super) fn overdue(&mut self) -> Option<(Asked, Option<Answer>)> {
        let asked = if self.requests.is_full() { self.requests.pop() } else { None };
        asked.map(|asked| (asked, None))
    }

    /// Requests that are left at the end, one by one; counts the responses that are.
    pub(super) fn rest(&mut self, notes: &mut Notes) -> Option<Asked> {
        while self.responses.pop().is_some() {
            notes.add(Note::ResponseWithoutRequest);
        }
        self.requests.pop()
    }
}

// === impl Waiting ===

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { by_id: HashMap::new(), order: VecDeque::new(), next: 0, bytes: 0 }
    }
}

impl<T: Weight> Waiting<T> {
    fn is_full(&self) -> bool {
        self.by_id.len() > MAX_WAITING || self.bytes > MAX_WAITING_BYTES
    }

    fn insert(&mut self, id: Vec<u8>, half: T) {
        self.bytes += half.weight();
        self.order.push_back((self.next, id.clone()));
        self.by_id.insert(id, (self.next, half));
        self.next += 1;
        // Entries of `order` whose half has gone would otherwise stay until they are the oldest.
        if self.order.len() > 2 * MAX_WAITING {
            let by_id = &self.by_id;
            self.order.retain(|(number, id)| by_id.get(id).is_some_and(|(known, _)| known == number));
        }
    }

    fn remove(&mut self, id: &[u8]) -> Option<T> {
        let (_, half) = self.by_id.remove(id)?;
        self.bytes -= half.weight();
        Some(half)
    }

    fn pop(&mut self) -> Option<T> {
        while let Some((number, id)) = self.order.pop_front() {
            if self.by_id.get(&id).is_some_and(|(known, _)| *known == number) {
                return self.remove(&id);
            }
        }
        None
    }
}

impl Weight for Asked {
    fn weight(&self) -> usize {
        self.request.body.bytes.len()
    }
}

impl Weight for Answer {
    fn weight(&self) -> usize {
        self.response.body.bytes.len()
    }
}
