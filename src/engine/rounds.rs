//! How hard consensus works: rounds above the one a height began with, and the weight that signs. Both are weighed like
//! water in a leaking bucket: bad time fills it, good time empties it, so a single failed round or a short dip leaves no
//! trace, and trouble that comes and goes adds up.

use std::time::Duration;

use super::{
    settings::Cadence,
    vitals::{Scene, borne_out},
};
use crate::model::Timestamp;

/// Rounds must have been high for so much longer than not ...
const CLIMBING: Duration = Duration::from_secs(60);

/// ... and participation low.
const LOW: Duration = Duration::from_secs(180);

/// Both, and for so many block times.
const BLOCK_TIMES: u32 = 5;

/// Two thirds must sign, and a little more, for there is always somebody about to fail.
const TWO_THIRDS_AND_MORE: u16 = 700;

/// A fall of so much below the usual is a fall, whatever is left.
const FALL: u16 = 250;

/// Bad time minus good time, between nothing and a ceiling.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unrest {
    level: Duration,
    bad: Option<bool>,
    at: Timestamp,
    since: Timestamp,
}

impl Unrest {
    /// What is true from `now` on; `None` while nobody knows.
    fn note(&mut self, bad: Option<bool>, limit: Duration, now: Timestamp) {
        let passed = now.since(self.at);
        match self.bad {
            Some(true) => self.level = self.level.saturating_add(passed).min(limit.saturating_mul(2)),
            Some(false) => self.level = self.level.saturating_sub(passed),
            None => {}
        }
        if self.level.is_zero() {
            self.since = now;
        }
        (self.bad, self.at) = (bad, now);
    }

    /// When it is too much, unless things get better.
    #[must_use]
    pub fn due(&self, limit: Duration) -> Option<Timestamp> {
        let lasting = self.bad == Some(true) || limit <= self.level;
        lasting.then(|| self.at.after(limit.saturating_sub(self.level)))
    }

    /// Since when there has been any.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Whether nobody can tell now.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.bad.is_none()
    }

    /// Whether there is little of it, measured by `limit`.
    #[must_use]
    pub fn is_calm(&self, limit: Duration) -> bool {
        self.level <= limit / 2
    }
}

/// Rounds and participation as they were lately.
#[derive(Debug, Default)]
pub struct Rounds {
    /// The lowest round told of the height in progress: some protocols never count back to 0.
    begun: Option<u64>,
    /// The round told last.
    pub round: u64,
    /// The participation told last, per mille.
    pub participation: u16,
    usual: Option<u16>,
    /// High rounds.
    pub climbing: Unrest,
    /// Low participation.
    pub low: Unrest,
}

impl Rounds {
    /// Takes in a view of the network. Only who has reached the tip speaks of the height in progress.
    pub fn follow(&mut self, scene: &Scene<'_>) {
        let now = scene.timer.now().at;
        let at_tip = || scene.facts.iter().filter(|facts| scene.tip <= facts.head.height);
        let speakers = scene.facts.iter().filter(|facts| facts.round.is_some()).count().min(2);
        let rounds: Vec<u64> = at_tip().filter_map(|facts| facts.round).collect();
        if scene.blocks != Some(0) {
            self.begun = None;
        }
        let round = borne_out(rounds.iter().copied()).filter(|_| speakers <= rounds.len());
        let climbs = round.map(|round| self.climbs(round) && awaited(scene));
        self.climbing.note(climbs, climbing_limit(scene.block_time()), now);
        let participation = borne_out(at_tip().filter_map(|facts| facts.participation));
        let low = participation.map(|per_mille| self.is_low(per_mille, scene.blocks));
        self.low.note(low, low_limit(scene.block_time()), now);
    }

    fn climbs(&mut self, round: u64) -> bool {
        self.round = round;
        *self.begun.insert(self.begun.map_or(round, |begun| begun.min(round))) < round
    }

    /// The usual moves by a per mille a block, and only while all is well.
    fn is_low(&mut self, per_mille: u16, blocks: Option<u64>) -> bool {
        self.participation = per_mille;
        let usual = self.usual.get_or_insert(per_mille);
        let low = per_mille < TWO_THIRDS_AND_MORE.max(usual.saturating_sub(FALL));
        if !low && blocks != Some(0) {
            *usual = if *usual < per_mille { *usual + 1 } else { usual.saturating_sub(u16::from(per_mille < *usual)) };
        }
        low
    }
}

/// Whether anybody waits for a block: leaders of an idle chain may change as they like.
fn awaited(scene: &Scene<'_>) -> bool {
    match scene.settings.cadence {
        Cadence::OnDemand | Cadence::IdleMax(_) => scene.network.work.is_some(),
        Cadence::Interval | Cadence::Slots | Cadence::Poisson => true,
    }
}

/// So much unrest by rounds is too much.
#[must_use]
pub fn climbing_limit(block_time: Option<Duration>) -> Duration {
    CLIMBING.max(block_time.unwrap_or_default().saturating_mul(BLOCK_TIMES))
}

/// So much unrest by participation is too much.
#[must_use]
pub fn low_limit(block_time: Option<Duration>) -> Duration {
    LOW.max(block_time.unwrap_or_default().saturating_mul(BLOCK_TIMES))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// One character a second: `!` bad, `.` good, `?` unknown. Returns the second from which on it was too much.
    fn check(script: &str, wanted: Option<usize>) {
        let mut unrest = Unrest::default();
        let due = script.chars().enumerate().find(|(second, word)| {
            let now = Timestamp(i64::try_from(*second).unwrap() * 1000);
            let bad = match word {
                '!' => Some(true),
                '.' => Some(false),
                _ => None,
            };
            unrest.note(bad, LIMIT, now);
            unrest.due(LIMIT).is_some_and(|due| due <= now)
        });
        assert_eq!(due.map(|(second, _)| second), wanted, "{script}");
    }

    #[test]
    fn trouble_adds_up_and_calm_wears_it_off() {
        check("!!!!!!!!", Some(5));
        check("!!!!....!!!!....!!!!....", None);
        check("!!!.!!!.!!!.!!!.", Some(7));
        check("!!!????!!!!!", Some(9));
        check("!.......!.......!.......", None);
    }

    #[test]
    fn the_due_time_is_known_before_it_comes() {
        let mut unrest = Unrest::default();
        unrest.note(Some(true), LIMIT, Timestamp(1000));
        assert_eq!(unrest.due(LIMIT), Some(Timestamp(6000)));
        unrest.note(Some(false), LIMIT, Timestamp(2000));
        assert_eq!(unrest.due(LIMIT), None);
    }

    #[test]
    fn a_counter_that_never_goes_back_to_zero_climbs_only_within_a_height() {
        let mut rounds = Rounds::default();
        assert!(!rounds.climbs(700));
        assert!(rounds.climbs(701));
        rounds.begun = None;
        assert!(!rounds.climbs(701), "a block came: this is where the next height begins");
    }

    #[test]
    fn participation_is_low_below_two_thirds_or_far_below_its_usual() {
        let mut rounds = Rounds::default();
        let words = [990, 960, 750, 730, 690, 640].map(|per_mille| rounds.is_low(per_mille, Some(0)));
        assert_eq!(words, [false, false, false, true, true, true]);
        let mut small = Rounds::default();
        assert_eq!([750, 690, 750].map(|per_mille| small.is_low(per_mille, Some(0))), [false, true, false]);
    }
}
