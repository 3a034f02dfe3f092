//! Keeps the requests to one host under its limit, first come, first served.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as GovernorClock, Reference},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};
use tokio::sync::Mutex as Queue;

use crate::{clock::Clock, model::Timestamp};

/// Our clock and the timers count whole milliseconds, so what is allowed within this time may go out together: else no
/// rate above some hundred a second could be reached. At lower rates it is less than one request.
const TICK: Duration = Duration::from_millis(5);

/// One host's limit, shared by every node behind it.
pub struct Gate {
    limiter: RateLimiter<NotKeyed, InMemoryState, BootTime, NoOpMiddleware<Instant>>,
    /// The limiter alone is unfair: of twenty waiting, one can get all. Who waits here is served in order.
    queue: Queue<()>,
}

impl Gate {
    /// A gate that lets `requests_per_second` through, evenly: no burst beyond a tick, because providers count in
    /// windows of their own. `None` if the number is not a rate.
    #[must_use]
    pub fn new(requests_per_second: f64) -> Option<Self> {
        let period = Duration::try_from_secs_f64(1.0 / requests_per_second).ok()?;
        let in_a_tick = TICK.as_nanos().checked_div(period.as_nanos())?;
        let burst = u32::try_from(in_a_tick).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(period)?.allow_burst(burst);
        Some(Self { limiter: RateLimiter::direct_with_clock(quota, BootTime), queue: Queue::const_new(()) })
    }

    /// Waits for leave to make one request. Dropping the future gives the place in the queue up.
    pub async fn leave(&self) {
        let _turn = self.queue.lock().await;
        while let Err(not_until) = self.limiter.check() {
            tokio::time::sleep(not_until.wait_time_from(BootTime.now()).max(Duration::from_millis(1))).await;
        }
    }
}

/// The gates that the pollers use now, by host, for whoever asks a node besides them. They live as long as the pollers.
static IN_USE: Mutex<BTreeMap<String, Weak<Gate>>> = Mutex::new(BTreeMap::new());

/// Makes the gates of the pollers known, in place of those before.
pub fn publish(gates: &HashMap<String, Arc<Gate>>) {
    let gates = gates.iter().map(|(host, gate)| (host.clone(), Arc::downgrade(gate)));
    *IN_USE.lock().unwrap_or_else(PoisonError::into_inner) = gates.collect();
}

/// The gate of a host, if the pollers have one for it.
pub fn of_host(host: &str) -> Option<Arc<Gate>> {
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner).get(&host.to_lowercase()).and_then(Weak::upgrade)
}

/// The clock of this program in the words of the limiter.
#[derive(Debug, Clone, Copy)]
struct BootTime;

/// A point on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Instant(Timestamp);

impl GovernorClock for BootTime {
    type Instant = Instant;

    fn now(&self) -> Instant {
        Instant(Clock.now().at)
    }
}

impl Reference for Instant {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.since(earlier.0).into()
    }

    fn saturating_sub(&self, by: Nanos) -> Self {
        Self(self.0.before(by.into()))
    }
}

impl std::ops::Add<Nanos> for Instant {
    type Output = Self;

    fn add(self, by: Nanos) -> Self {
        Self(self.0.after(by.into()))
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gate")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_is_not_a_rate_makes_no_gate() {
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Gate::new(wrong).is_none(), "{wrong}");
        }
        assert!(Gate::new(0.5).is_some());
    }

    #[tokio::test]
    async fn a_high_rate_is_not_cut_to_the_resolution_of_the_clock() {
        let gate = Gate::new(20_000.0).unwrap();
        let started = Clock.stopwatch();
        for _ in 0..4000 {
            gate.leave().await;
        }
        let elapsed = started.elapsed();
        // 200 ms at the rate; a millisecond for each request would be four seconds.
        assert!((Duration::from_millis(150)..Duration::from_secs(2)).contains(&elapsed), "{elapsed:?}");
    }

    #[tokio::test]
    async fn requests_are_spaced_and_everybody_gets_a_turn() {
        let gate = Arc::new(Gate::new(200.0).unwrap());
        let served = Arc::new(Mutex::new(Vec::new()));
        let started = Clock.stopwatch();
        let mut crowd = tokio::task::JoinSet::new();
        for member in 0..4 {
            let (gate, served) = (Arc::clone(&gate), Arc::clone(&served));
            crowd.spawn(async move {
                for _ in 0..5 {
                    gate.leave().await;
                    served.lock().unwrap().push(member);
                }
            });
        }
        crowd.join_all().await;
        // Twenty requests at 200 a second, the first at once.
        assert!(Duration::from_millis(90) <= started.elapsed(), "{:?}", started.elapsed());
        let served = served.lock().unwrap();
        for member in 0..4 {
            let turns = served[..16].iter().filter(|turn| **turn == member).count();
            assert!((3..=5).contains(&turns), "member {member} got {turns} of the first 16 turns: {served:?}");
        }
    }
}
