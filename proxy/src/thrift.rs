//! Keeps recording within what it may use: memory and disk by closing the gate, the recorder's CPU by pauses.
//!
//! Traffic is never held up: a closed gate lets requests go by unrecorded, a pause lets the queue fill, which drops
//! batches. Both are counted.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::param::page_size;
use rustix::time::{ClockId, clock_gettime};

use crate::gate::{Gate, Scarce};
use crate::inventory;
use crate::ledger::Ledger;

/// Work that may be saved up while there is little to do.
const BURST: Duration = Duration::from_millis(500);
/// A gate closed for memory opens below this share of the limit, so that it does not flutter.
const OPENS_BELOW: f64 = 0.95;

/// What recording may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Resident memory of the whole process, in bytes.
    pub memory: Option<u64>,
    /// Bytes of all files in the captures directory.
    pub disk: Option<u64>,
    /// Share of one core that the recorder's thread may use, (0, 1].
    pub recorder_cpu: f64,
}

/// Watches over the limits, on the recorder's thread.
pub(crate) struct Thrift {
    limits: Limits,
    dir: PathBuf,
    gate: Arc<Gate>,
    ledger: Arc<Ledger>,
    credit: Credit,
}

/// Time on a core that may still be used.
struct Credit {
    share: f64,
    /// Seconds; negative is a debt.
    seconds: f64,
    /// When it was reckoned, and the thread's CPU time then.
    at: (Instant, Duration),
}

// === impl Thrift ===

impl Thrift {
    /// Watches over what the calling thread and its process use.
    pub(crate) fn new(limits: Limits, dir: PathBuf, gate: Arc<Gate>, ledger: Arc<Ledger>) -> Thrift {
        let credit = Credit { share: limits.recorder_cpu, seconds: 0.0, at: (Instant::now(), thread_cpu()) };
        Thrift { limits, dir, gate, ledger, credit }
    }

    /// Opens and closes the gate.
    pub(crate) fn tend(&mut self) {
        if let Some(limit) = self.limits.memory
            && let Some(used) = resident()
        {
            let closed = self.gate.is_closed_for(Scarce::Memory);
            let bound = if closed { (limit as f64 * OPENS_BELOW) as u64 } else { limit };
            self.set(Scarce::Memory, used > bound, used, limit);
        }
        if let Some(limit) = self.limits.disk {
            // A directory that cannot be listed cannot be written either: that is told where it is written.
            let used = inventory::bytes_below(&self.dir).unwrap_or_default();
            self.ledger.captures_bytes.set(i64::try_from(used).unwrap_or(i64::MAX));
            self.set(Scarce::Disk, used >= limit, used, limit);
        }
    }

    /// How long the thread should rest now.
    pub(crate) fn pause(&mut self) -> Option<Duration> {
        let now = (Instant::now(), thread_cpu());
        let used = now.1.saturating_sub(self.credit.at.1);
        self.ledger.recorder_cpu_seconds.inc_by(used.as_secs_f64());
        let pause = self.credit.reckon(now);
        if let Some(pause) = pause {
            self.ledger.recorder_paused_seconds.inc_by(pause.as_secs_f64());
        }
        pause
    }

    fn set(&self, scarce: Scarce, is_scarce: bool, used: u64, limit: u64) {
        if !self.gate.set(scarce, is_scarce) {
            return;
        }
        if is_scarce {
            tracing::warn!(
                limit = scarce.name(),
                used,
                bytes = limit,
                "recording stops until less is used; traffic goes on"
            );
        } else {
            tracing::info!(limit = scarce.name(), used, bytes = limit, "recording goes on");
        }
    }
}

// === impl Credit ===

impl Credit {
    fn reckon(&mut self, now: (Instant, Duration)) -> Option<Duration> {
        let (wall, cpu) = (now.0.duration_since(self.at.0), now.1.saturating_sub(self.at.1));
        self.at = now;
        let most = BURST.as_secs_f64() * self.share;
        self.seconds = (self.seconds + wall.as_secs_f64() * self.share - cpu.as_secs_f64()).min(most);
        if self.share >= 1.0 || self.seconds >= 0.0 {
            return None;
        }
        Some(Duration::from_secs_f64(-self.seconds / self.share))
    }
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Resident memory of this process, in bytes.
fn resident() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread that always has work: what share of a second it gets.
    fn share_used(share: f64) -> f64 {
        let began = Instant::now();
        let mut credit = Credit { share, seconds: 0.0, at: (began, Duration::ZERO) };
        let (mut wall, mut cpu) = (Duration::ZERO, Duration::ZERO);
        while wall < Duration::from_secs(20) {
            cpu += Duration::from_millis(7);
            wall += Duration::from_millis(7);
            wall += credit.reckon((began + wall, cpu)).unwrap_or_default();
        }
        cpu.as_secs_f64() / wall.as_secs_f64()
    }

    #[test]
    fn the_recorder_gets_its_share_of_a_core_and_no_more() {
        for share in [0.05, 0.25, 0.7] {
            let used = share_used(share);
            assert!((share * 0.95..share * 1.05).contains(&used), "{share}: {used}");
        }
        assert_eq!(share_used(1.0), 1.0);
    }

    #[test]
    fn what_was_saved_up_is_bounded() {
        let began = Instant::now();
        let mut credit = Credit { share: 0.1, seconds: 0.0, at: (began, Duration::ZERO) };
        let hour = Duration::from_secs(3600);
        assert_eq!(credit.reckon((began + hour, Duration::ZERO)), None);
        let at = began + hour + Duration::from_millis(200);
        assert!(credit.reckon((at, Duration::from_millis(200))).is_some(), "an idle hour buys no busy one");
    }

    #[test]
    fn the_gate_closes_at_a_limit_and_opens_below_it() {
        let dir = tempfile::tempdir().unwrap();
        let gate = Arc::new(Gate::default());
        let limits = Limits { memory: Some(1), disk: Some(100), recorder_cpu: 1.0 };
        let ledger = Arc::new(Ledger::new());
        let mut thrift = Thrift::new(limits, dir.path().to_owned(), gate.clone(), ledger);
        thrift.tend();
        assert!(gate.is_closed_for(Scarce::Memory) && !gate.is_closed_for(Scarce::Disk));
        thrift.limits.memory = Some(u64::MAX / 2);
        let file = dir.path().join("a.ucap");
        fs::write(&file, [0; 100]).unwrap();
        thrift.tend();
        assert!(!gate.is_closed_for(Scarce::Memory) && gate.is_closed_for(Scarce::Disk));
        fs::remove_file(file).unwrap();
        thrift.tend();
        assert_eq!(gate.closed_for(), None);
    }
}
