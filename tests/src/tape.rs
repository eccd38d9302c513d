//! A tape on a wire: forwards connections and notes what each side sent, to the byte, and how it ended.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::net::sockopt;

use crate::process::PATIENCE;

/// How one side of a connection stopped sending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It did not: the other side was reset first.
    #[default]
    None,
    /// An orderly end.
    Closed,
    /// A reset.
    Reset,
}

/// What went over one connection.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection {
    /// Bytes of the client.
    pub up: Vec<u8>,
    /// Bytes of the service.
    pub down: Vec<u8>,
    /// How the client's side ended.
    pub up_end: End,
    /// How the service's side ended.
    pub down_end: End,
}

/// A forwarder that takes notes. Lives as long as its process.
#[derive(Debug)]
pub struct Tape {
    /// Where it listens.
    pub listen: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: Mutex<String>,
    notes: Mutex<Notes>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Notes {
    open: usize,
    over: Vec<Connection>,
}

// === impl Connection ===

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field(
                "up",
                &format_args!("{} bytes: {:.300}", self.up.len(), self.up.escape_ascii().to_string()),
            )
            .field(
                "down",
                &format_args!("{} bytes: {:.300}", self.down.len(), self.down.escape_ascii().to_string()),
            )
            .field("up_end", &self.up_end)
            .field("down_end", &self.down_end)
            .finish()
    }
}

// === impl Tape ===

impl Tape {
    /// Begins to forward to `target`.
    pub fn before(target: &str) -> Result<Tape> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let listen = listener.local_addr()?.to_string();
        let shared = Arc::new(Shared {
            target: Mutex::new(target.to_owned()),
            notes: Mutex::default(),
            changed: Condvar::new(),
        });
        let of_thread = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                of_thread.notes().open += 1;
                let shared = of_thread.clone();
                std::thread::spawn(move || {
                    let connection = forward(client, &shared.target()).unwrap_or_default();
                    let mut notes = shared.notes();
                    notes.open -= 1;
                    notes.over.push(connection);
                    shared.changed.notify_all();
                });
            }
        });
        Ok(Tape { listen, shared })
    }

    /// Forwards connections to `target` from now on.
    pub fn lead_to(&self, target: &str) {
        *self.shared.target.lock().unwrap_or_else(PoisonError::into_inner) = target.to_owned();
    }

    /// What was noted since the last call, once `count` connections are over and none is open; sorted.
    pub fn take(&self, count: usize) -> Result<Vec<Connection>> {
        let deadline = Instant::now() + PATIENCE;
        let mut notes = self.shared.notes();
        while notes.open > 0 || notes.over.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!(
                    "{} connections stay open, {} are over: {:?}",
                    notes.open,
                    notes.over.len(),
                    notes.over
                );
            }
            notes = self.shared.changed.wait_timeout(notes, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut over = std::mem::take(&mut notes.over);
        over.sort();
        Ok(over)
    }
}

// === impl Shared ===

impl Shared {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn target(&self) -> String {
        self.target.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Forwards one connection to its end.
fn forward(client: TcpStream, target: &str) -> Result<Connection> {
    let service = TcpStream::connect(target)?;
    client.set_nodelay(true)?;
    service.set_nodelay(true)?;
    let broken = AtomicBool::new(false);
    let (mut up, mut down) = (Vec::new(), Vec::new());
    let (up_end, down_end) = std::thread::scope(|scope| {
        let upward = scope.spawn(|| copy(&client, &service, &mut up, &broken));
        let downward = copy(&service, &client, &mut down, &broken);
        (upward.join().unwrap_or_default(), downward)
    });
    Ok(Connection { up, down, up_end, down_end })
}

/// Copies one direction; how its source ended.
fn copy(mut source: &TcpStream, mut sink: &TcpStream, notes: &mut Vec<u8>, broken: &AtomicBool) -> End {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match source.read(&mut buffer) {
            Ok(0) if broken.load(Ordering::SeqCst) => return End::None,
            Ok(0) => {
                // Fails when the sink is gone, which its own reader notices.
                sink.shutdown(Shutdown::Write).ok();
                return End::Closed;
            }
            Ok(count) => {
                notes.extend_from_slice(&buffer[..count]);
                if sink.write_all(&buffer[..count]).is_err() {
                    break_off(source, sink, broken);
                    return End::None;
                }
            }
            Err(_) => {
                let first = !broken.swap(true, Ordering::SeqCst);
                break_off(source, sink, broken);
                return if first { End::Reset } else { End::None };
            }
        }
    }
}

/// Wakes both readers, and makes the closes to come resets.
fn break_off(source: &TcpStream, sink: &TcpStream, broken: &AtomicBool) {
    broken.store(true, Ordering::SeqCst);
    for socket in [source, sink] {
        sockopt::set_socket_linger(socket, Some(Duration::ZERO)).ok();
        socket.shutdown(Shutdown::Read).ok();
    }
}
