//! The engine on the real clock: requests wait here for the end of their modelled call.
//!
//! Waiting costs no processor time: a worker of the model is an entry in a list, not a thread that burns a core. That
//! is what lets several stand-ins share two cores, and also why processor figures of a stand-in mean nothing.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::thread::set_current_timer_slack;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, oneshot};

use crate::compute::Compute;
use crate::engine::{Completion, Engine, Ticket};

/// Modelled hardware that serves calls while [`Node::run`] is polled.
#[derive(Debug)]
pub struct Node {
    state: Mutex<State>,
    /// Wakes `run` when the next event moved forward.
    sooner: Notify,
    /// When the model is loaded.
    ready_at: u64,
}

#[derive(Debug)]
struct State {
    engine: Engine,
    waiting: HashMap<Ticket, oneshot::Sender<Duration>>,
    /// Completions on their way to those who wait; kept to reuse its memory.
    done: Vec<Completion>,
    /// The instant `run` sleeps until.
    alarm: Option<u64>,
}

/// A timer of the kernel's, precise to some 50 us where tokio's rounds up to whole milliseconds.
#[derive(Debug)]
struct Alarm(AsyncFd<OwnedFd>);

/// Nanoseconds on the monotonic clock.
pub fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // Monotonic time is never negative.
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

// === impl Node ===

impl Node {
    /// A node that starts now.
    pub fn start(compute: Compute) -> Self {
        let cold_start = u64::try_from(compute.cold_start.as_nanos()).unwrap_or(u64::MAX);
        Self {
            state: Mutex::new(State {
                engine: Engine::new(compute),
                waiting: HashMap::new(),
                done: Vec::new(),
                alarm: None,
            }),
            sooner: Notify::new(),
            ready_at: now().saturating_add(cold_start),
        }
    }

    /// Whether the model is loaded.
    pub fn is_ready(&self) -> bool {
        now() >= self.ready_at
    }

    /// Requests that wait for a worker.
    pub fn queued(&self) -> usize {
        self.state().engine.queued()
    }

    /// Waits until a call that carries `tokens` tokens has ended; returns its length. `None` when the node stopped.
    pub async fn infer(&self, tokens: u32) -> Option<Duration> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.state();
            let now = now();
            state.advance(now);
            let ticket = state.engine.arrive(now, tokens);
            state.waiting.insert(ticket, sender);
            if state.engine.next_event() < state.alarm || state.alarm.is_none() {
                self.sooner.notify_one();
            }
        }
        receiver.await.ok()
    }

    /// Ends calls at their instants, for ever.
    pub async fn run(&self) -> std::io::Result<()> {
        // The default slack of 50 us would be added to each wake-up. A kernel that refuses only costs precision.
        set_current_timer_slack(NonZeroU64::new(1)).ok();
        let alarm = Alarm::new()?;
        loop {
            let next = {
                let mut state = self.state();
                state.advance(now());
                state.alarm = state.engine.next_event();
                state.alarm
            };
            alarm.set(next)?;
            tokio::select! {
                rung = alarm.ring() => rung?,
                () = self.sooner.notified() => {}
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is consistent between calls, and no call on it panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn advance(&mut self, now: u64) {
        self.engine.advance(now, &mut self.done);
        for completion in self.done.drain(..) {
            if let Some(sender) = self.waiting.remove(&completion.ticket) {
                // The client may have gone away; the model worked for it all the same.
                sender.send(completion.inference).ok();
            }
        }
    }
}

// === impl Alarm ===

impl Alarm {
    fn new() -> std::io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that may change their descriptor; OwnedFd cannot"
        )]
        let fd = AsyncFd::new(fd)?;
        Ok(Self(fd))
    }

    /// Rings at `at`, at once when it has passed, never for `None`.
    fn set(&self, at: Option<u64>) -> std::io::Result<()> {
        // A timer set to zero is disarmed, so an instant of zero would never ring.
        let at = at.map_or(0, |at| at.max(1));
        let value = Timespec { tv_sec: (at / 1_000_000_000) as i64, tv_nsec: (at % 1_000_000_000) as _ };
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let spec = Itimerspec { it_interval: zero, it_value: value };
        timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &spec)?;
        Ok(())
    }

    async fn ring(&self) -> std::io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let read = ready.try_io(|fd| {
                let mut expirations = [0; 8];
                rustix::io::read(fd, &mut expirations).map_err(Into::into)
            });
            if let Ok(result) = read {
                return result.map(|_| ());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn compute(workers: usize) -> Compute {
        Compute {
            call: Duration::from_millis(4),
            token: Duration::ZERO,
            batch: 1,
            window: Duration::ZERO,
            workers,
            jitter: 0.0,
            cold_start: Duration::ZERO,
            seed: 1,
        }
    }

    #[tokio::test]
    async fn a_node_keeps_its_throughput_on_the_real_clock() {
        let node = Arc::new(Node::start(compute(2)));
        let runner = tokio::spawn({
            let node = Arc::clone(&node);
            async move { node.run().await }
        });
        let begun = now();
        let requests: Vec<_> = (0..100)
            .map(|_| {
                let node = Arc::clone(&node);
                tokio::spawn(async move { node.infer(1).await })
            })
            .collect();
        for request in requests {
            assert_eq!(request.await.unwrap(), Some(Duration::from_millis(4)));
        }
        let took_ms = (now() - begun) / 1_000_000;
        // 100 calls of 4 ms by two workers: never sooner than 200 ms, and late only by one wake-up.
        assert!((200..300).contains(&took_ms), "{took_ms} ms");
        runner.abort();
    }

    #[tokio::test]
    async fn a_node_is_not_ready_before_its_model_is_loaded() {
        let cold = Compute { cold_start: Duration::from_secs(3600), ..compute(1) };
        assert!(!Node::start(cold).is_ready());
        assert!(Node::start(compute(1)).is_ready());
    }
}
