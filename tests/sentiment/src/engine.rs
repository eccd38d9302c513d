//! The compute model as a machine that knows no clock: arrivals go in, completions come out.
//!
//! Instants are nanoseconds on any monotonic clock. A call begins at its *ideal* instant, computed from arrivals and
//! earlier ends, and never at the instant at which somebody happened to look. So a late timer delays one answer but
//! not the work behind it, and throughput is the model's own whatever the machine does.

use std::collections::VecDeque;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::compute::Compute;

/// Names a request within an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// A request whose call has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The request.
    pub ticket: Ticket,
    /// Length of the call that served it.
    pub inference: Duration,
    /// When the call ended, ideally.
    pub at: u64,
}

/// Workers, their queue and the calls under way.
#[derive(Debug)]
pub struct Engine {
    compute: Compute,
    rng: StdRng,
    next_ticket: u64,
    /// Waiting requests, oldest first.
    queue: VecDeque<Waiting>,
    /// When each worker is free again; in the past for an idle one.
    free_at: Vec<u64>,
    /// Calls that have not ended, in no order. There are never more than workers.
    running: Vec<Call>,
}

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    arrived: u64,
    tokens: u32,
}

#[derive(Debug)]
struct Call {
    ends: u64,
    inference: Duration,
    tickets: Vec<Ticket>,
}

// === impl Engine ===

impl Engine {
    /// An idle engine.
    pub fn new(compute: Compute) -> Self {
        let workers = compute.workers.max(1);
        Self {
            compute: Compute { batch: compute.batch.max(1), workers, ..compute },
            rng: StdRng::seed_from_u64(compute.seed),
            next_ticket: 0,
            queue: VecDeque::new(),
            free_at: vec![0; workers],
            running: Vec::with_capacity(workers),
        }
    }

    /// A request of `tokens` tokens arrives. `now` must not lie before an earlier arrival, and the engine must have
    /// been advanced to it.
    pub fn arrive(&mut self, now: u64, tokens: u32) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.queue.push_back(Waiting { ticket, arrived: now, tokens });
        ticket
    }

    /// Lets time pass until `now`; completions are appended in the order in which they happened.
    pub fn advance(&mut self, now: u64, completions: &mut Vec<Completion>) {
        while let Some(at) = self.next_event().filter(|at| *at <= now) {
            match self.earliest_end() {
                // An end first: the worker it frees may be the one that takes the next call.
                Some((index, ends)) if ends <= at => {
                    let Call { ends, inference, tickets } = self.running.swap_remove(index);
                    completions.extend(tickets.into_iter().map(|ticket| Completion {
                        ticket,
                        inference,
                        at: ends,
                    }));
                }
                _ => self.begin_call(at),
            }
        }
    }

    /// When something happens next, if nothing arrives before.
    pub fn next_event(&self) -> Option<u64> {
        let end = self.earliest_end().map(|(_, ends)| ends);
        [end, self.next_start()].into_iter().flatten().min()
    }

    /// Requests that wait for a worker.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    fn earliest_end(&self) -> Option<(usize, u64)> {
        self.running.iter().map(|call| call.ends).enumerate().min_by_key(|(_, ends)| *ends)
    }

    /// When the next call begins: a batch is full or its window is over, and a worker is free.
    fn next_start(&self) -> Option<u64> {
        let window_over = self.queue.front()?.arrived + nanos(self.compute.window);
        let full = self.queue.get(self.compute.batch - 1).map_or(u64::MAX, |last| last.arrived);
        let free = self.free_at.iter().min()?;
        Some(window_over.min(full).max(*free))
    }

    fn begin_call(&mut self, at: u64) {
        let ready = self.queue.iter().take_while(|waiting| waiting.arrived <= at).count();
        let batch: Vec<Waiting> = self.queue.drain(..ready.min(self.compute.batch)).collect();
        let tokens: u64 = batch.iter().map(|waiting| u64::from(waiting.tokens)).sum();
        let ideal = nanos(self.compute.call) + nanos(self.compute.token) * tokens;
        let length = (ideal as f64 * self.jitter()) as u64;
        if let Some(free_at) = self.free_at.iter_mut().min() {
            *free_at = at + length;
        }
        let tickets = batch.into_iter().map(|waiting| waiting.ticket).collect();
        self.running.push(Call { ends: at + length, inference: Duration::from_nanos(length), tickets });
    }

    /// A log-normal factor with mean 1, so that jitter changes no throughput.
    fn jitter(&mut self) -> f64 {
        let sigma = self.compute.jitter;
        if sigma == 0.0 {
            return 1.0;
        }
        // Box-Muller; `1 - u` keeps the logarithm finite.
        let radius = (-2.0 * (1.0 - self.rng.random::<f64>()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.rng.random::<f64>()).cos();
        (sigma * normal - sigma * sigma / 2.0).exp()
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::Profile;

    const MS: u64 = 1_000_000;

    fn plain(workers: usize, batch: usize, window_ms: u64) -> Engine {
        Engine::new(Compute {
            call: Duration::from_millis(10),
            token: Duration::ZERO,
            batch,
            window: Duration::from_millis(window_ms),
            workers,
            jitter: 0.0,
            cold_start: Duration::ZERO,
            seed: 1,
        })
    }

    /// Sends arrivals (instant, tokens) and returns when each ended, in order of arrival.
    fn ends(engine: &mut Engine, arrivals: &[(u64, u32)]) -> Vec<u64> {
        let mut done = Vec::new();
        let mut tickets = Vec::new();
        for (at, tokens) in arrivals {
            engine.advance(*at, &mut done);
            tickets.push(engine.arrive(*at, *tokens));
        }
        engine.advance(u64::MAX, &mut done);
        assert_eq!(done.len(), arrivals.len(), "every request ends once");
        assert!(done.windows(2).all(|pair| pair[0].at <= pair[1].at), "completions come in order");
        let end = |ticket| done.iter().find(|c| c.ticket == ticket).map(|c| c.at);
        tickets.into_iter().map(|ticket| end(ticket).unwrap()).collect()
    }

    #[test]
    fn an_overloaded_engine_answers_exactly_its_capacity() {
        for (workers, batch) in [(1, 1), (2, 1), (4, 1), (1, 8), (2, 4)] {
            let mut engine = plain(workers, batch, 0);
            // All at once, so that every batch is full.
            let last = ends(&mut engine, &vec![(0, 5); 800]).into_iter().max().unwrap();
            let rate = 800.0 / (last as f64 / 1e9);
            let capacity = engine.compute.capacity(5);
            // The first call of an engine that batches takes one request: nobody else is there yet.
            assert!((rate / capacity - 1.0).abs() < 0.02, "{workers}x{batch}: {rate} against {capacity}");
        }
    }

    #[test]
    fn requests_wait_first_come_first_served_for_a_free_worker() {
        let mut engine = plain(2, 1, 0);
        let ends = ends(&mut engine, &[(0, 1), (MS, 1), (2 * MS, 1), (3 * MS, 1)]);
        assert_eq!(ends, [10 * MS, 11 * MS, 20 * MS, 21 * MS]);
    }

    #[test]
    fn a_batch_begins_when_its_window_is_over_or_it_is_full() {
        let mut engine = plain(1, 3, 5);
        let gathered = ends(&mut engine, &[(0, 1), (MS, 1)]);
        assert_eq!(gathered, [15 * MS, 15 * MS]);
        let mut engine = plain(1, 3, 5);
        let full = ends(&mut engine, &[(0, 1), (MS, 1), (2 * MS, 1), (3 * MS, 1)]);
        assert_eq!(full, [12 * MS, 12 * MS, 12 * MS, 22 * MS]);
    }

    #[test]
    fn looking_late_delays_no_later_call() {
        let mut late = plain(1, 1, 0);
        for _ in 0..3 {
            late.arrive(0, 1);
        }
        let mut done = Vec::new();
        late.advance(95 * MS, &mut done);
        assert_eq!(done.iter().map(|c| c.at).collect::<Vec<_>>(), [10 * MS, 20 * MS, 30 * MS]);
    }

    #[test]
    fn tokens_lengthen_the_call_that_carries_them() {
        let compute = Compute { token: Duration::from_millis(1), ..plain(1, 2, 0).compute };
        let mut engine = Engine::new(compute);
        engine.arrive(0, 3);
        engine.arrive(0, 4);
        let mut done = Vec::new();
        engine.advance(u64::MAX, &mut done);
        assert_eq!(done.iter().map(|c| c.inference.as_millis()).collect::<Vec<_>>(), [17, 17]);
    }

    #[test]
    fn jitter_repeats_with_its_seed_and_keeps_the_mean() {
        let run = |seed| {
            let compute = Compute { jitter: 0.3, seed, ..plain(1, 1, 0).compute };
            ends(&mut Engine::new(compute), &vec![(0, 1); 4000])
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let mean_ms = *run(7).last().unwrap() as f64 / 4000.0 / MS as f64;
        assert!((mean_ms - 10.0).abs() < 0.2, "{mean_ms}");
    }

    #[test]
    fn a_gpu_with_batches_outlives_a_burst_that_buries_a_small_cpu() {
        let burst: Vec<(u64, u32)> = (0..600).map(|i| (i * MS, 22)).collect();
        let worst = |profile: Profile| {
            let ends = ends(&mut Engine::new(profile.compute()), &burst);
            ends.iter().zip(&burst).map(|(end, (at, _))| end - at).max().unwrap() / MS
        };
        assert!(worst(Profile::Gpu) < 10, "{}", worst(Profile::Gpu));
        assert!(worst(Profile::CpuSmall) > 300, "{}", worst(Profile::CpuSmall));
    }
}
