//! Keeps the requests to one host under its limit, first come, first served.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use governor::{
    Quota, RateLimiter,
    clock::{Clock as GovernorClock, Reference},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};
use tokio::sync::{Mutex, Notify};

use crate::{clock::Clock, model::Timestamp};

/// Our clock and the timers count whole milliseconds, so what is allowed within this time may go out together: else no
/// rate above some hundred a second could be reached. At lower rates it is less than one request.
const TICK: Duration = Duration::from_millis(5);

/// One host's limit, shared by every node behind it. It can change under those who wait.
pub struct Gate {
    /// `None` = everybody may pass.
    limit: ArcSwapOption<Limit>,
    changed: Notify,
    /// The limiter alone is unfair: of twenty waiting, one can get all. Who waits here is served in order.
    queue: Mutex<()>,
    /// The queue of those who ask out of curiosity; only the first of them stands in the other one.
    curious: Mutex<()>,
}

struct Limit {
    requests_per_second: f64,
    limiter: RateLimiter<NotKeyed, InMemoryState, BootTime, NoOpMiddleware<Instant>>,
}

impl Limit {
    /// Lets `requests_per_second` through, evenly: no burst beyond a tick, because providers count in windows of their
    /// own. `None` if the number is not a rate.
    fn new(requests_per_second: f64) -> Option<Self> {
        let period = Duration::try_from_secs_f64(1.0 / requests_per_second).ok()?;
        let in_a_tick = TICK.as_nanos().checked_div(period.as_nanos())?;
        let burst = u32::try_from(in_a_tick).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(period)?.allow_burst(burst);
        Some(Self { requests_per_second, limiter: RateLimiter::direct_with_clock(quota, BootTime) })
    }
}

impl Default for Gate {
    /// A gate through which everybody may pass.
    fn default() -> Self {
        Self {
            limit: ArcSwapOption::empty(),
            changed: Notify::new(),
            queue: Mutex::default(),
            curious: Mutex::default(),
        }
    }
}

impl Gate {
    /// Sets the limit, also for those who wait already. What is not a rate is no limit. The same rate again changes
    /// nothing: what has passed stays counted.
    pub fn limit(&self, requests_per_second: Option<f64>) {
        let before = self.limit.load().as_ref().map(|limit| limit.requests_per_second);
        if before != requests_per_second {
            self.limit.store(requests_per_second.and_then(Limit::new).map(Arc::new));
            self.changed.notify_one();
        }
    }

    /// Waits for leave to make one request. Dropping the future gives the place in the queue up.
    pub async fn leave(&self) {
        if self.limit.load().is_none() {
            return;
        }
        let _turn = self.queue.lock().await;
        while let Some(pause) = self.pause() {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// The same for a request that is no poll: however many of them wait, a poll waits behind one of them at the most.
    pub async fn leave_after_polls(&self) {
        let _first = self.curious.lock().await;
        self.leave().await;
    }

    /// How long the next one has to wait at least; `None` if it may pass.
    fn pause(&self) -> Option<Duration> {
        let limit = self.limit.load();
        let not_until = limit.as_ref()?.limiter.check().err()?;
        Some(not_until.wait_time_from(BootTime.now()).max(Duration::from_millis(1)))
    }
}

/// The gates of all hosts, for as long as a node is there. A clone lists the same gates.
#[derive(Debug, Clone, Default)]
pub struct Gates(HashMap<String, Arc<Gate>>);

impl Gates {
    /// The gate of a host, if a node is there.
    #[must_use]
    pub fn of(&self, host: &str) -> Option<Arc<Gate>> {
        self.0.get(&host.to_lowercase()).cloned()
    }

    /// Limits every host as strictly as the strictest of what is wished for it; gates of hosts without any wish go.
    pub fn limit<'a>(&mut self, wishes: impl Iterator<Item = (&'a str, Option<f64>)>) {
        let mut rates: HashMap<String, Option<f64>> = HashMap::new();
        for (host, wish) in wishes {
            let strictest = rates.entry(host.to_lowercase()).or_default();
            *strictest = match (*strictest, wish) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        self.0.retain(|host, _| rates.contains_key(host));
        for (host, rate) in rates {
            self.0.entry(host).or_default().limit(rate);
        }
    }
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
    use super::*;

    fn limited(requests_per_second: f64) -> Gate {
        let gate = Gate::default();
        gate.limit(Some(requests_per_second));
        gate
    }

    #[test]
    fn what_is_not_a_rate_makes_no_limit() {
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Limit::new(wrong).is_none(), "{wrong}");
        }
        assert!(Limit::new(0.5).is_some());
    }

    #[tokio::test]
    async fn who_waits_behind_a_slow_limit_passes_as_soon_as_it_is_changed() {
        for better in [None, Some(1000.0)] {
            let gate = limited(0.001);
            gate.leave().await;
            let mut waiting = std::pin::pin!(gate.leave());
            assert!(tokio::time::timeout(Duration::from_millis(20), waiting.as_mut()).await.is_err());
            gate.limit(better);
            tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_same_limit_again_gives_no_leave() {
        let gate = limited(0.001);
        gate.leave().await;
        gate.limit(Some(0.001));
        assert!(tokio::time::timeout(Duration::from_millis(20), gate.leave()).await.is_err());
    }

    #[tokio::test]
    async fn a_poll_waits_for_one_of_the_curious_at_the_most() {
        let gate = Arc::new(limited(100.0));
        let passed = Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let (gate, passed) = (Arc::clone(&gate), Arc::clone(&passed));
            crowd.spawn(async move {
                gate.leave_after_polls().await;
                passed.lock().unwrap().push("curious");
            });
        }
        tokio::task::yield_now().await;
        gate.leave().await;
        passed.lock().unwrap().push("poll");
        crowd.join_all().await;
        let passed = passed.lock().unwrap();
        assert!(passed[..3].contains(&"poll") && passed.len() == 11, "{passed:?}");
    }

    #[tokio::test]
    async fn a_high_rate_is_not_cut_to_the_resolution_of_the_clock() {
        let gate = limited(20_000.0);
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
        let gate = Arc::new(limited(200.0));
        let served = Arc::new(std::sync::Mutex::new(Vec::new()));
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
