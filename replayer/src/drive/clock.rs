//! One clock for a whole run, and waiting for an instant on it.

use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::{io, thread};

use rustix::thread::set_current_timer_slack;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

const SECOND: u64 = 1_000_000_000;

/// Added to the nice value of worker threads. On Linux a nice value belongs to a thread.
const PREFERENCE: i32 = -10;

/// Nanoseconds since the run began, on the system's monotonic clock: the same on every thread, never stepped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: u64,
}

/// Waits for instants of a [`Clock`] on one thread.
///
/// tokio's own timers are documented to a millisecond and round up: measured on a loaded two-core machine they wake
/// 1.3 ms late in the median, a `timerfd` on the same event loop 0.04 ms. The instant is absolute, so that no lateness
/// adds up.
pub(super) struct Pacer {
    timer: AsyncFd<OwnedFd>,
    clock: Clock,
}

// === impl Clock ===

impl Clock {
    /// A clock that begins now.
    pub(super) fn start() -> Clock {
        Clock { origin: nanos_of(ClockId::Monotonic) }
    }

    /// Nanoseconds since the run began.
    pub(super) fn now(&self) -> u64 {
        nanos_of(ClockId::Monotonic).saturating_sub(self.origin)
    }
}

/// Asks for the calling thread to be woken before those of other programs, as far as the system allows (it does so for
/// root, and for those with `CAP_SYS_NICE`). A worker uses little of a core; what it needs is to get it at once.
pub(super) fn prefer_this_thread() {
    if let Err(error) = rustix::process::nice(PREFERENCE) {
        tracing::debug!(%error, "worker threads run at ordinary priority");
    }
}

/// CPU time of the calling thread, nanoseconds.
pub(super) fn thread_cpu() -> u64 {
    nanos_of(ClockId::ThreadCPUTime)
}

fn nanos_of(clock: ClockId) -> u64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    tv_sec as u64 * SECOND + tv_nsec as u64
}

// === impl Pacer ===

impl Pacer {
    /// A pacer for the calling thread, whose timers it makes exact. Needs a tokio runtime with its I/O driver.
    pub(super) fn new(clock: Clock) -> io::Result<Pacer> {
        // The kernel may delay a thread's wake-ups by its slack, 50 µs by default, to save power. Where that is not
        // allowed the certificate shows what it costs.
        if let Err(error) = set_current_timer_slack(NonZeroU64::new(1)) {
            tracing::debug!(%error, thread = thread::current().name(), "timer slack stays as it is");
        }
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(
            deprecated,
            reason = "its replacement is an unsafe function, for types whose descriptor may change under tokio (tokio \
                      #8587); that of an `OwnedFd` cannot"
        )]
        let timer = AsyncFd::new(timer)?;
        Ok(Pacer { timer, clock })
    }

    /// Returns at `instant`, or after letting other tasks run when that is past.
    pub(super) async fn until(&self, instant: u64) -> io::Result<()> {
        if instant <= self.clock.now() {
            tokio::task::yield_now().await;
            return Ok(());
        }
        let at = self.clock.origin + instant;
        let spec = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: (at / SECOND) as i64, tv_nsec: (at % SECOND) as i64 },
        };
        // Setting the timer also clears an expiry that nobody waited for.
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::ABSTIME, &spec)?;
        loop {
            let mut ready = self.timer.readable().await?;
            let mut expirations = [0; 8];
            match ready.try_io(|timer| Ok(rustix::io::read(timer, &mut expirations)?)) {
                Ok(read) => return read.map(|_| ()),
                // The readiness was that of an earlier timer.
                Err(_would_block) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pacer_never_wakes_early_and_mostly_on_time() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let clock = Clock::start();
            let pacer = Pacer::new(clock).unwrap();
            let start = clock.now();
            let mut late = Vec::new();
            for tick in 1..=200 {
                let due = start + tick * 500_000;
                pacer.until(due).await.unwrap();
                let now = clock.now();
                assert!(now >= due);
                late.push(now - due);
            }
            late.sort_unstable();
            // Loose: other tests load this machine. An unloaded one shows 40 µs.
            assert!(late[100] < 5_000_000, "median lateness {} ns", late[100]);
        });
    }

    #[test]
    fn an_abandoned_wait_does_not_shorten_the_next_one() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let clock = Clock::start();
            let pacer = Pacer::new(clock).unwrap();
            let first = clock.now() + 2_000_000;
            tokio::select! {
                biased;
                _ = pacer.until(first) => panic!("polled before it was due"),
                () = std::future::ready(()) => {}
            }
            while clock.now() < first {
                std::hint::spin_loop();
            }
            let second = clock.now() + 2_000_000;
            pacer.until(second).await.unwrap();
            assert!(clock.now() >= second);
        });
    }
}
