//! The connections of one worker to one candidate.
//!
//! How many there are is decided here and nowhere else: an arrival takes the connection that became idle last (the
//! others may age and close), else opens one, else waits in line for whichever comes first, a connection or the room to
//! open one. hyper-util's pooled client is not used because it races the two and so opens connections nobody asked
//! for, and repeats requests by itself.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::sync::oneshot;

use super::wire::{Scratch, Wire, scratch};

/// Where a lane leads.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// Where the candidate accepted a connection before the run.
    pub(super) address: SocketAddr,
    /// What the `Host` field says.
    pub(super) host: String,
    /// Put before every target; may be empty.
    pub(super) prefix: String,
}

/// The connections of one worker to one candidate.
pub(super) struct Lane {
    pub(super) route: Route,
    most: usize,
    scratch: Scratch,
    /// Slots given out, idle connections included.
    open: Cell<usize>,
    idle: RefCell<Vec<Connection>>,
    waiting: RefCell<VecDeque<oneshot::Sender<Grant>>>,
}

/// The right to have one connection open. Goes to the next in line when dropped.
pub(super) struct Slot {
    lane: Rc<Lane>,
}

/// An open connection with nothing under way.
pub(super) struct Connection {
    pub(super) wire: Wire,
    /// It has carried a whole exchange before.
    pub(super) served: bool,
    slot: Slot,
}

/// What an arrival gets: something to send on, or the right to open it.
pub(super) enum Grant {
    Connection(Connection),
    Slot(Slot),
}

// === impl Lane ===

impl Lane {
    /// A lane with at most `most` connections.
    pub(super) fn new(route: Route, most: usize) -> Rc<Lane> {
        Rc::new(Lane {
            route,
            most,
            scratch: scratch(),
            open: Cell::new(0),
            idle: RefCell::default(),
            waiting: RefCell::default(),
        })
    }

    /// What is there at once, if anything.
    pub(super) fn take(self: &Rc<Self>) -> Option<Grant> {
        loop {
            let last = self.idle.borrow_mut().pop();
            match last {
                // The candidate closed it while it was idle. Dropping it makes room, so this ends.
                Some(connection) if connection.wire.is_spent() => drop(connection),
                Some(connection) => return Some(Grant::Connection(connection)),
                None => break,
            }
        }
        if self.open.get() < self.most {
            self.open.set(self.open.get() + 1);
            return Some(Grant::Slot(Slot { lane: Rc::clone(self) }));
        }
        None
    }

    /// Waits in line. Leaving early (a deadline) gives up the place without a trace.
    pub(super) async fn wait(self: &Rc<Self>) -> Grant {
        loop {
            let (sender, receiver) = oneshot::channel();
            self.waiting.borrow_mut().push_back(sender);
            // A lane that is closed while someone waits drops the line; there is room then.
            if let Ok(grant) = receiver.await {
                return grant;
            }
            if let Some(grant) = self.take() {
                return grant;
            }
        }
    }

    /// Closes idle connections and forgets the line.
    pub(super) fn close(&self) {
        let waiting = self.waiting.take();
        drop(waiting);
        // Dropping a connection comes back here through its slot, so nothing may be borrowed meanwhile.
        let idle = self.idle.take();
        drop(idle);
    }

    fn next_in_line(&self) -> Option<oneshot::Sender<Grant>> {
        let mut waiting = self.waiting.borrow_mut();
        while let Some(next) = waiting.pop_front() {
            if !next.is_closed() {
                return Some(next);
            }
        }
        None
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        match self.lane.next_in_line() {
            Some(next) => {
                // The receiver was there just now, and nothing else runs on this thread.
                next.send(Grant::Slot(Slot { lane: Rc::clone(&self.lane) })).ok();
            }
            None => self.lane.open.set(self.lane.open.get() - 1),
        }
    }
}

impl Slot {
    /// Opens a connection.
    pub(super) async fn connect(self) -> io::Result<Connection> {
        let wire = Wire::connect(self.lane.route.address, Rc::clone(&self.lane.scratch)).await?;
        Ok(Connection { wire, served: false, slot: self })
    }
}

impl Connection {
    /// Gives up the connection, keeping the right to open another.
    pub(super) fn into_slot(self) -> Slot {
        self.slot
    }

    /// Hands the connection to the next in line. Only for one that may carry another request.
    pub(super) fn give_back(mut self) {
        self.served = true;
        let lane = Rc::clone(&self.slot.lane);
        match lane.next_in_line() {
            Some(next) => drop(next.send(Grant::Connection(self))),
            None => lane.idle.borrow_mut().push(self),
        }
    }
}
