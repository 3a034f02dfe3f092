//! Counts polls and measures what they cost this process.

use std::{
    cell::{Cell, RefCell},
    fmt,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::process;

/// Counts on one thread.
#[derive(Debug, Default)]
pub struct Meter {
    polls: Cell<u64>,
    errors: Cell<u64>,
    latencies: RefCell<Vec<u32>>,
}

/// A measurement that has begun.
#[derive(Debug)]
pub struct Running {
    cpu: Duration,
    at: Instant,
}

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sample {
    /// CPU time of the whole process per poll, in microseconds.
    pub cpu_micros: f64,
    /// Memory in RAM at the end, in bytes.
    pub resident: u64,
    /// Median time from sending a poll to its complete answer.
    pub p50_micros: u32,
    /// 99th percentile of it.
    pub p99_micros: u32,
    /// Finished polls per second.
    pub polls_per_second: f64,
    /// Failed polls.
    pub errors: u64,
    /// CPU time of the fake node per second, in cores.
    pub server_busy: f64,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} us/poll, {:.1} MB, p50 {} us, p99 {} us, {:.0} polls/s, {} errors, server {:.2} cores",
            self.cpu_micros,
            self.resident as f64 / 1e6,
            self.p50_micros,
            self.p99_micros,
            self.polls_per_second,
            self.errors,
            self.server_busy
        )
    }
}

impl Meter {
    /// A poll that was answered well after `elapsed`.
    pub fn good(&self, elapsed: Duration) {
        self.polls.set(self.polls.get() + 1);
        self.latencies.borrow_mut().push(u32::try_from(elapsed.as_micros()).unwrap_or(u32::MAX));
    }

    /// A poll that failed.
    pub fn failed(&self) {
        self.polls.set(self.polls.get() + 1);
        self.errors.set(self.errors.get() + 1);
    }

    /// Polls of which others kept count; their latencies are not known.
    pub fn counted(&self, polls: u64, errors: u64) {
        self.polls.set(polls);
        self.errors.set(errors);
    }

    /// Forgets what was counted so far and begins to measure.
    pub fn begin(&self) -> Running {
        self.polls.set(0);
        self.errors.set(0);
        self.latencies.borrow_mut().clear();
        Running { cpu: process::cpu(), at: Instant::now() }
    }

    /// Ends the measurement.
    pub fn end(&self, running: &Running) -> Sample {
        let cpu = process::cpu().saturating_sub(running.cpu);
        let elapsed = running.at.elapsed();
        let resident = process::resident();
        let polls = self.polls.get() as f64;
        let mut latencies = self.latencies.take();
        latencies.sort_unstable();
        let quantile = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default();
        Sample {
            cpu_micros: cpu.as_secs_f64() * 1e6 / polls.max(1.0),
            resident,
            p50_micros: quantile(50),
            p99_micros: quantile(99),
            polls_per_second: polls / elapsed.as_secs_f64(),
            errors: self.errors.get(),
            server_busy: 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_holds_what_was_counted_after_its_beginning() {
        let meter = Meter::default();
        meter.failed();
        let running = meter.begin();
        for ms in [1, 2, 3, 4] {
            meter.good(Duration::from_millis(ms));
        }
        meter.failed();
        let sample = meter.end(&running);
        assert_eq!((sample.p50_micros, sample.errors), (3000, 1));
    }
}
