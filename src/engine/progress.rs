//! The progress clock: when the tip last rose, how long blocks take here, and from when on they are missing.
//!
//! Time in which we could not see does not count towards a halt; it does not count against one either: the clock
//! stands still and goes on. A halt cannot teach the detector patience, because abnormal gaps are never learned from.

use std::{collections::VecDeque, time::Duration};

use super::settings::{Cadence, NetworkSettings};
use crate::model::{Now, Timestamp, UnixTime};

/// Intervals from which the block time is learned.
const INTERVALS: usize = 32;

/// So many abnormal gaps in a row, without an ordinary one between, are the new normal: no stall comes back that evenly.
const NEW_NORMAL: usize = 12;

/// Fewer intervals teach nothing.
const INTERVALS_NEEDED: usize = 5;

/// As long as nobody knows how long blocks take here, nothing shorter than this is called a halt.
const PATIENCE_BEFORE_LEARNING: Duration = Duration::from_secs(300);

/// The same where blocks come at random: only gaps that are long even for slow proof of work are called a halt.
const PATIENCE_WITH_CHANCE: Duration = Duration::from_secs(3 * 3600);

/// Where blocks come at random the mean learned from a few of them can be this many times too short.
const LUCK: u32 = 2;

/// A learned block time is never shorter than this.
const SHORTEST_BLOCK_TIME: Duration = Duration::from_millis(50);

/// A learned block time is never longer than this.
const LONGEST_BLOCK_TIME: Duration = Duration::from_secs(3600);

/// A network that stood still before we looked must be seen to stand still for so many block times: its timestamps
/// alone, or our own clock, may be wrong.
const WATCHED_BLOCK_TIMES: u32 = 3;

/// Where a block comes at the latest after some time, so many of those times without one are a halt.
const IDLE_MAXIMA: u32 = 3;

/// When the tip last rose and what is learned from how it rises.
#[derive(Debug, Default)]
pub struct Progress {
    /// When the tip last rose; `None` before the first tip.
    pub at: Option<Timestamp>,
    /// The same, moved forward by the time in which we could not see.
    counts_from: Timestamp,
    /// No halt before this, whatever the timestamps say.
    not_before: Timestamp,
    /// In this time so many nodes are asked as prove a tip.
    pub round: Duration,
    /// Since when we cannot see.
    blind_since: Option<Timestamp>,
    /// When we last could not for longer than a round.
    blind_until: Timestamp,
    /// Whether the tip has risen under our eyes: only then the time between two rises is known.
    seen_rising: bool,
    intervals: VecDeque<Duration>,
    /// What is not yet an interval to learn from: time that passed, and blocks that came in it.
    begun: (Duration, u32),
    /// Abnormal intervals since the last ordinary one.
    abnormal: Vec<Duration>,
    learned: Option<Duration>,
}

impl Progress {
    /// The first tip: the head's own timestamp tells when it came, unless it claims the future. The first answers may
    /// be those of nodes that trail, so nothing is missing before two `rounds` have passed.
    pub fn begin(&mut self, now: Now, head: Option<UnixTime>, rounds: Duration, settings: &NetworkSettings) {
        let age = head.map_or(Duration::ZERO, |head| now.wall.since(head));
        self.at = Some(now.at.before(age));
        self.counts_from = now.at.before(age);
        self.blind_since = None;
        self.seen_rising = false;
        let watch =
            self.block_time(settings).map_or(settings.limits.halt_floor, |b| b.saturating_mul(WATCHED_BLOCK_TIMES));
        let threshold = self.threshold(settings);
        // Where blocks come at random three block times without one are ordinary: then our own clock must not say the
        // rest.
        let watch = if settings.cadence == Cadence::Poisson { watch.max(threshold / 2) } else { watch };
        self.not_before = now.at.after(watch.min(threshold).max(rounds));
    }

    /// The tip rose by `blocks`. That is known since `now`; if we saw all the while, it is true since `proven`, when
    /// its block was first told: a slow witness does not make the block newer. Returns the time per block, where it is
    /// known.
    pub fn rise(
        &mut self,
        now: Timestamp,
        proven: Option<Timestamp>,
        blocks: u64,
        settings: &NetworkSettings,
    ) -> Option<Duration> {
        let blind = self.is_blind(now);
        let seen = proven.filter(|_| !blind).unwrap_or(now).max(self.blind_until);
        self.blind_until = if blind { now } else { self.blind_until };
        let now = self.at.map_or(now, |at| seen.max(at)).min(now);
        let gap = self.at.map_or(Duration::ZERO, |at| now.since(at));
        let blocks = u32::try_from(blocks).unwrap_or(u32::MAX).max(1);
        let known = std::mem::replace(&mut self.seen_rising, true);
        let ordinary = self.learned.is_none() || gap <= self.threshold(settings);
        if known && !blind {
            self.weigh(gap, blocks, ordinary);
        } else {
            self.begun = Default::default();
        }
        self.restart(now);
        known.then_some(gap / blocks)
    }

    /// Forgets how long blocks take: another chain may have another pace.
    pub fn unlearn(&mut self) {
        self.intervals.clear();
        self.begun = Default::default();
        self.abnormal.clear();
        self.learned = None;
    }

    /// Blocks were last new at `at`, on a branch below the old tip.
    pub fn restart(&mut self, at: Timestamp) {
        self.at = Some(at);
        self.counts_from = at;
        self.blind_since = None;
    }

    /// Ordinary gaps teach at once. Abnormal ones teach nothing, unless there are only such: then the chain has changed.
    ///
    /// Whose turn it is to be asked may make one block of a long time and many of a short one: less than a round teaches
    /// nothing by itself.
    fn weigh(&mut self, gap: Duration, blocks: u32, ordinary: bool) {
        let (time, before) = std::mem::take(&mut self.begun);
        if ordinary {
            self.abnormal.clear();
            let (time, blocks) = (time.saturating_add(gap), before.saturating_add(blocks));
            if self.round <= time {
                self.learn(time / blocks);
            } else {
                self.begun = (time, blocks);
            }
            return;
        }
        self.abnormal.push(gap / blocks);
        if NEW_NORMAL <= self.abnormal.len() {
            self.intervals.clear();
            for each in std::mem::take(&mut self.abnormal) {
                self.learn(each);
            }
        }
    }

    fn learn(&mut self, each: Duration) {
        if self.intervals.len() == INTERVALS {
            self.intervals.pop_front();
        }
        self.intervals.push_back(each);
        if INTERVALS_NEEDED <= self.intervals.len() {
            let typical = middle_mean(self.intervals.iter().copied().collect());
            self.learned = Some(typical.clamp(SHORTEST_BLOCK_TIME, LONGEST_BLOCK_TIME));
        }
    }

    /// The block time in use: declared, else learned. Where blocks come when there is work, gaps say nothing about it.
    #[must_use]
    pub fn block_time(&self, settings: &NetworkSettings) -> Option<Duration> {
        let learned = self.learned.filter(|_| !matches!(settings.cadence, Cadence::OnDemand | Cadence::IdleMax(_)));
        settings.block_time.or(learned)
    }

    /// From how many intervals the block time was learned.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.intervals.len()
    }

    /// The gap from which on blocks are missing. While the block time is unknown the network gets the benefit of the
    /// doubt, unless work is waiting.
    #[must_use]
    pub fn threshold(&self, settings: &NetworkSettings) -> Duration {
        let blocks = match (self.block_time(settings), settings.cadence) {
            (_, Cadence::IdleMax(longest)) => longest.saturating_mul(IDLE_MAXIMA),
            (Some(block_time), Cadence::Poisson) => {
                let luck = if settings.block_time.is_some() { 1 } else { LUCK };
                rare_gap(block_time.saturating_mul(luck), settings.limits.horizon)
            }
            (Some(block_time), _) => block_time.saturating_mul(settings.limits.missing_blocks),
            (None, Cadence::OnDemand) => Duration::ZERO,
            (None, Cadence::Poisson) => PATIENCE_WITH_CHANCE,
            (None, _) => PATIENCE_BEFORE_LEARNING,
        };
        blocks.max(settings.limits.halt_floor)
    }

    /// The same from the moment on at which work waits, where a block comes then without being due otherwise.
    #[must_use]
    pub fn busy_threshold(&self, settings: &NetworkSettings) -> Duration {
        let blocks = self.block_time(settings).unwrap_or_default().saturating_mul(settings.limits.missing_blocks);
        blocks.max(settings.limits.halt_floor).min(self.threshold(settings))
    }

    /// Standing still up to `until` was announced: the clock counts from there.
    pub fn excuse(&mut self, until: Timestamp) {
        self.counts_from = self.counts_from.max(until);
        self.blind_since = self.blind_since.map(|since| since.max(until));
    }

    /// Says whether we can see the network now. Blind time does not count.
    pub fn see(&mut self, sight: bool, now: Timestamp) {
        match (sight, self.blind_since) {
            (true, Some(since)) => {
                self.counts_from = self.counts_from.after(now.since(since));
                self.blind_until = if self.is_blind(now) { now } else { self.blind_until };
                self.blind_since = None;
            }
            (false, None) => self.blind_since = Some(now),
            _ => {}
        }
    }

    /// Time in which nobody ran us does not count, and what we knew is old: a halt must be watched anew.
    pub fn skip(&mut self, paused: Duration, now: Timestamp) {
        self.blind_until = now;
        if self.blind_since.is_none() {
            self.counts_from = self.counts_from.after(paused);
        }
    }

    /// Since when we have been able to see without a break longer than a round; `None` while we cannot.
    #[must_use]
    pub fn seeing_since(&self, now: Timestamp) -> Option<Timestamp> {
        (!self.is_blind(now)).then_some(self.blind_until)
    }

    /// Whether we have been unable to see for longer than a round: where polls are rare every answer is a little old.
    fn is_blind(&self, now: Timestamp) -> bool {
        self.blind_since.is_some_and(|since| self.round < now.since(since))
    }

    /// How long blocks have been missing, as far as we were watching.
    #[must_use]
    pub fn watched(&self, now: Timestamp) -> Duration {
        self.blind_since.unwrap_or(now).min(now).since(self.counts_from)
    }

    /// The instant at which a gap of `threshold` will have been watched, counting from `work` if that is later.
    #[must_use]
    pub fn due(&self, threshold: Duration, work: Option<Timestamp>) -> Timestamp {
        let from = work.map_or(self.counts_from, |work| work.max(self.counts_from));
        from.after(threshold).max(self.not_before)
    }
}

/// The gap between two blocks that comes by chance once in `horizon`, where they come at random; never less than one
/// block time.
fn rare_gap(block_time: Duration, horizon: Duration) -> Duration {
    let blocks = (horizon.as_secs_f64() / block_time.as_secs_f64().max(0.001)).max(std::f64::consts::E);
    Duration::try_from_secs_f64(block_time.as_secs_f64() * blocks.ln()).unwrap_or(Duration::MAX)
}

/// The mean of the middle half. Like a median it ignores what is extreme; unlike one it is not fooled when polls split
/// even blocks into short and long intervals by turns.
fn middle_mean(mut intervals: Vec<Duration>) -> Duration {
    intervals.sort_unstable();
    let cut = intervals.len() / 4;
    let middle = &intervals[cut..intervals.len() - cut];
    middle.iter().sum::<Duration>() / u32::try_from(middle.len()).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settings::{FaultTolerance, NetworkLimits};

    fn settings(block_time: Option<u64>) -> NetworkSettings {
        NetworkSettings {
            name: "main".into(),
            family: "evm".into(),
            chain_id: None,
            genesis: None,
            cadence: Cadence::Interval,
            block_time: block_time.map(Duration::from_secs),
            tolerance: FaultTolerance::Bft,
            core_total: None,
            finality_lag: None,
            planned: Vec::new(),
            limits: NetworkLimits::default(),
            labels: Vec::new(),
            depends_on: Vec::new(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp(second * 1000)
    }

    #[test]
    fn the_threshold_is_ten_block_times_or_the_floor_and_patient_while_nobody_knows() {
        let progress = Progress::default();
        for (block_time, wanted) in [(None, 300), (Some(1), 30), (Some(12), 120), (Some(u64::MAX), u64::MAX)] {
            assert_eq!(progress.threshold(&settings(block_time)).as_secs(), wanted);
        }
        let on_demand = NetworkSettings { cadence: Cadence::OnDemand, ..settings(None) };
        assert_eq!(progress.threshold(&on_demand).as_secs(), 30, "waiting work needs no block time");
    }

    #[test]
    fn a_gap_between_random_blocks_is_a_halt_when_chance_makes_it_once_in_the_horizon() {
        let poisson = |block_time| NetworkSettings { cadence: Cadence::Poisson, ..settings(block_time) };
        let progress = Progress::default();
        let max = u64::MAX;
        for (block_time, wanted) in
            [(Some(600), 7903), (Some(15), 252), (Some(0), 30), (Some(max), max), (None, 10_800)]
        {
            assert_eq!(progress.threshold(&poisson(block_time)).as_secs(), wanted, "{block_time:?}");
        }
        let learned = Progress { learned: Some(Duration::from_secs(300)), ..Progress::default() };
        let wanted = progress.threshold(&poisson(Some(600)));
        assert_eq!(learned.threshold(&poisson(None)), wanted, "a few lucky blocks teach no impatience");
    }

    #[test]
    fn a_declared_longest_gap_counts_three_times_and_waiting_work_shortens_it() {
        let idle = |longest: u64, block_time| NetworkSettings {
            cadence: Cadence::IdleMax(Duration::from_secs(longest)),
            ..settings(block_time)
        };
        let progress = Progress { learned: Some(Duration::from_secs(500)), ..Progress::default() };
        for (longest, block_time, wanted, busy) in [
            (600, Some(5), 1800, 50),
            (600, None, 1800, 30),
            (5, Some(60), 30, 30),
            (0, Some(0), 30, 30),
            (u64::MAX, Some(u64::MAX), u64::MAX, u64::MAX),
        ] {
            let settings = idle(longest, block_time);
            assert_eq!(progress.threshold(&settings).as_secs(), wanted, "{longest} {block_time:?}");
            assert_eq!(progress.busy_threshold(&settings).as_secs(), busy, "{longest} {block_time:?}, busy");
        }
    }

    #[test]
    fn a_wall_clock_that_is_wrong_at_the_start_makes_no_halt_of_an_ordinary_random_gap() {
        let settings = NetworkSettings { cadence: Cadence::Poisson, ..settings(Some(600)) };
        let threshold = Progress::default().threshold(&settings);
        for (age, earliest) in [(3 * 3600, threshold / 2), (600, threshold.saturating_sub(Duration::from_secs(600)))] {
            let mut progress = Progress::default();
            let now = Now { at: at(0), wall: UnixTime::from_millis(1_000_000_000) };
            let head = UnixTime::from_millis(1_000_000_000 - age * 1000);
            progress.begin(now, Some(head), Duration::ZERO, &settings);
            assert_eq!(progress.due(threshold, None), at(0).after(earliest), "a head {age} s old");
        }
    }

    #[test]
    fn time_that_was_announced_does_not_count_whether_we_saw_it_or_not() {
        let mut progress = Progress::default();
        progress.restart(at(0));
        progress.see(true, at(0));
        progress.excuse(at(100));
        assert_eq!(progress.due(Duration::from_secs(30), None), at(130));
        progress.see(false, at(105));
        progress.excuse(at(110));
        progress.see(true, at(120));
        assert_eq!(progress.due(Duration::from_secs(30), None), at(150), "blind for ten seconds after it");
    }

    #[test]
    fn time_in_which_we_could_not_see_does_not_count() {
        let mut progress = Progress::default();
        progress.restart(at(0));
        progress.see(true, at(10));
        progress.see(false, at(20));
        assert_eq!(progress.watched(at(500)), Duration::from_secs(20));
        progress.see(true, at(520));
        assert_eq!(progress.watched(at(525)), Duration::from_secs(25));
        assert_eq!(progress.due(Duration::from_secs(30), None), at(530));
        assert_eq!(progress.due(Duration::from_secs(30), Some(at(524))), at(554), "work counts from when it came");
    }

    #[test]
    fn block_time_is_learned_from_normal_gaps_only() {
        let settings = settings(None);
        let mut progress = Progress::default();
        progress.begin(Now { at: at(0), ..Now::default() }, None, Duration::ZERO, &settings);
        let mut now = 0;
        for gap in [3, 1, 5, 3, 3, 3, 1800, 3, 2, 4, 900, 3] {
            now += gap;
            progress.rise(at(now), None, 1, &settings);
        }
        assert_eq!(progress.block_time(&settings), Some(Duration::from_secs(3)));
        assert_eq!(progress.samples(), 9, "neither the first interval nor the stalls");
    }

    /// Blocks after which the learned block time is within a fifth of the new one.
    fn blocks_to_follow(before: i64, after: i64) -> Option<usize> {
        let settings = settings(None);
        let mut progress = Progress::default();
        progress.begin(Now { at: at(0), ..Now::default() }, None, Duration::ZERO, &settings);
        let mut now = 0;
        for _ in 0..200 {
            now += before;
            progress.rise(at(now), None, 1, &settings);
        }
        (1..=200).find(|_| {
            now += after;
            progress.rise(at(now), None, 1, &settings);
            let learned = progress.block_time(&settings).unwrap().as_secs_f64();
            #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
            let wanted = after as f64;
            (learned - wanted).abs() <= wanted / 5.0
        })
    }

    #[test]
    fn a_step_of_the_block_time_is_followed_within_a_window_in_both_directions() {
        for (before, after) in [(12, 6), (6, 12), (3, 30), (30, 3), (1, 60), (1, 3600), (600, 1)] {
            let blocks = blocks_to_follow(before, after);
            assert!(blocks.is_some_and(|blocks| blocks <= INTERVALS), "{before} s to {after} s: {blocks:?}");
        }
    }

    #[test]
    fn whose_turn_it_is_to_be_asked_does_not_make_blocks_faster() {
        let settings = settings(None);
        // Three nodes are asked every 15 s, one second after the other, while a block comes every second.
        let mut progress = Progress { round: Duration::from_secs(15), ..Progress::default() };
        progress.begin(Now { at: at(0), ..Now::default() }, None, Duration::ZERO, &settings);
        for turn in 1..20 {
            for (second, blocks) in [(0, 1), (1, 13), (2, 1)] {
                progress.rise(at(turn * 15 + second), None, blocks, &settings);
            }
        }
        assert_eq!(progress.block_time(&settings), Some(Duration::from_secs(1)));
    }

    #[test]
    fn stalls_between_ordinary_blocks_never_become_normal() {
        let settings = settings(None);
        let mut progress = Progress::default();
        progress.begin(Now { at: at(0), ..Now::default() }, None, Duration::ZERO, &settings);
        let mut now = 0;
        for block in 0..1000 {
            now += if block % 12 == 11 { 1800 } else { 1 };
            progress.rise(at(now), None, 1, &settings);
        }
        assert_eq!(progress.block_time(&settings), Some(Duration::from_secs(1)));
        assert!(progress.abnormal.len() < NEW_NORMAL, "what is remembered is bounded");
    }

    #[test]
    fn a_chain_slower_than_our_patience_is_learned_too() {
        let settings = settings(None);
        let mut progress = Progress::default();
        progress.begin(Now { at: at(0), ..Now::default() }, None, Duration::ZERO, &settings);
        for block in 1..=6 {
            progress.rise(at(block * 600), None, 1, &settings);
        }
        assert_eq!(progress.block_time(&settings), Some(Duration::from_secs(600)));
    }
}
