//! How far finality is behind the head, by our own clock: the block that is final now was the head at some time, and we
//! remember when. Timestamps of producers are asked only about blocks that came before we looked, and believed only as
//! far as a count of blocks agrees.
//!
//! Only time in which the head may have grown counts. Of a standstill no more counts than an ordinary gap lasts: nothing
//! can become final then, and when the head goes on, finality is given its ordinary time again.

use std::{collections::VecDeque, time::Duration};

use super::{
    settings::{Cadence, NetworkSettings},
    trail::Trail,
    vitals::Scene,
};
use crate::model::{Height, Timestamp, UnixTime};

/// Lags from which the normal one is learned: each is that before finality moved on, the peak of a saw-tooth.
const PEAKS: usize = 16;

/// Fewer peaks teach nothing.
const PEAKS_NEEDED: usize = 3;

/// Standstills remembered at the most; of more the oldest count as one.
const STANDSTILLS: usize = 32;

/// As long as nobody knows how long finality takes here, nothing shorter than this is called stalled: there are chains
/// whose proofs need hours.
const PATIENCE_BEFORE_LEARNING: Duration = Duration::from_secs(86_400);

/// What a node says is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The newest final block.
    pub height: Height,
    /// Its own timestamp.
    pub time: Option<UnixTime>,
}

/// The newest block that is provably final, and what is normal.
#[derive(Debug, Default)]
pub struct Finality {
    trail: Trail,
    last: Option<Last>,
    tellers: usize,
    peaks: VecDeque<Duration>,
    /// When the head rose last.
    head: Option<Timestamp>,
    standstills: VecDeque<Standstill>,
}

/// The head stood still for longer than it ordinarily does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standstill {
    end: Timestamp,
    /// So much of it does not count.
    excess: Duration,
}

/// The newest final block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    /// Its number.
    pub height: Height,
    /// When it was the head.
    pub was_head: Timestamp,
    /// When the head passed it.
    pub passed: Option<Timestamp>,
    /// For so long since then the head stood still beyond what is ordinary.
    pub stood: Duration,
}

impl Finality {
    /// Takes in what the voters claim.
    pub fn follow(&mut self, scene: &Scene<'_>, claims: &[Claim]) {
        match scene.blocks {
            None => self.restart(scene.tip, scene.risen),
            Some(0) => {}
            Some(blocks) => {
                self.stand_still(blocks, scene);
                self.trail.rise(scene.tip, scene.risen);
            }
        }
        self.head = Some(scene.risen_at());
        self.tellers = claims.len();
        if let Some(height) = corroborated(claims).map(|height| height.min(scene.tip)) {
            self.move_to(height, scene, claims);
        }
        if let Some(mut last) = self.last {
            last.passed = last.passed.or_else(|| Some(self.trail.passed(last.height)?.at));
            last.stood = self.stood_since(last.was_head);
            self.last = Some(last);
        }
    }

    fn restart(&mut self, tip: Height, at: Timestamp) {
        self.trail.restart(tip, at);
        self.last = None;
        self.standstills.clear();
    }

    /// The head rose by `blocks`: what was too long for an ordinary gap before it does not count. Where we could not see
    /// all the while, the blocks themselves say how long it may have grown.
    fn stand_still(&mut self, blocks: u64, scene: &Scene<'_>) {
        let (Some(head), Some(ordinary)) = (self.head, ordinary_gap(scene)) else { return };
        let end = scene.risen_at();
        let saw = scene.network.progress.seeing_since(scene.timer.now().at).is_some_and(|since| since <= head);
        let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
        let grown = scene.block_time().filter(|_| !saw).map(|block_time| block_time.saturating_mul(blocks));
        let excess = end.since(head).saturating_sub(ordinary.max(grown.unwrap_or_default()));
        if !excess.is_zero() {
            self.remember(Standstill { end, excess });
        }
    }

    fn remember(&mut self, standstill: Standstill) {
        if self.standstills.len() == STANDSTILLS
            && let Some(oldest) = self.standstills.pop_front()
            && let Some(next) = self.standstills.front_mut()
        {
            next.excess = next.excess.saturating_add(oldest.excess);
        }
        self.standstills.push_back(standstill);
    }

    fn stood_since(&self, at: Timestamp) -> Duration {
        let since = self.standstills.iter().filter(|standstill| at < standstill.end);
        since.fold(Duration::ZERO, |sum, standstill| sum.saturating_add(standstill.excess))
    }

    /// What is final stays final: a lower claim is an old answer.
    fn move_to(&mut self, height: Height, scene: &Scene<'_>, claims: &[Claim]) {
        if self.last.is_some_and(|last| height <= last.height) {
            return;
        }
        let reached = self.trail.reached(height).filter(|mark| height == mark.height || self.saw(height));
        let was_head = match reached {
            Some(mark) => mark.at,
            None => self.before_we_looked(height, scene, claims),
        };
        if let Some(before) = self.last.replace(Last { height, was_head, passed: None, stood: Duration::ZERO }) {
            let stood = self.stood_since(before.was_head);
            self.learn(scene.risen_at().since(before.was_head).saturating_sub(stood), before.was_head, scene);
        }
        self.standstills.retain(|standstill| was_head < standstill.end);
        self.trail.forget_below(height);
    }

    /// Whether the trail goes down to `height`.
    fn saw(&self, height: Height) -> bool {
        self.trail.first().is_some_and(|first| first.height <= height)
    }

    /// When a block was the head that had been before we looked. Its timestamp and the head's own may both be wrong; so
    /// may the declared block time. What both of them say at least is believed.
    fn before_we_looked(&self, height: Height, scene: &Scene<'_>, claims: &[Claim]) -> Timestamp {
        let Some(first) = self.trail.first() else { return scene.risen };
        let time = claims.iter().filter(|claim| claim.height == height).filter_map(|claim| claim.time).max();
        let told = time.zip(scene.head_time()).map(|(time, head)| scene.risen_at().before(head.since(time)));
        let blocks = u32::try_from(first.height.above(height)).unwrap_or(u32::MAX);
        let counted = scene.block_time().map(|block_time| first.at.before(block_time.saturating_mul(blocks)));
        told.zip(counted).map_or(first.at, |(told, counted)| told.max(counted).min(first.at))
    }

    /// What is abnormal teaches nothing, nor does a time in which we did not see all the while.
    fn learn(&mut self, peak: Duration, from: Timestamp, scene: &Scene<'_>) {
        let seen = scene.network.progress.seeing_since(scene.timer.now().at).is_some_and(|since| since <= from);
        let known = self.first_seen().is_some_and(|first| first <= from);
        if !seen || !known || self.normal(scene.settings).is_some_and(|_| self.limit(scene.settings) < peak) {
            return;
        }
        if self.peaks.len() == PEAKS {
            self.peaks.pop_front();
        }
        self.peaks.push_back(peak);
    }

    fn first_seen(&self) -> Option<Timestamp> {
        Some(self.trail.first()?.at)
    }

    /// The normal lag: declared, else learned.
    #[must_use]
    pub fn normal(&self, settings: &NetworkSettings) -> Option<Duration> {
        settings.finality_lag.or_else(|| {
            let mut peaks: Vec<Duration> = self.peaks.iter().copied().collect();
            peaks.sort_unstable();
            (PEAKS_NEEDED <= peaks.len()).then(|| peaks[peaks.len() / 2])
        })
    }

    /// The lag from which on finality is stalled.
    #[must_use]
    pub fn limit(&self, settings: &NetworkSettings) -> Duration {
        let limits = &settings.limits;
        self.normal(settings).map_or(PATIENCE_BEFORE_LEARNING, |normal| {
            normal.saturating_mul(limits.finality_factor).max(limits.finality_floor)
        })
    }

    /// The newest final block, if anybody says now what is final.
    #[must_use]
    pub fn told(&self) -> Option<Last> {
        self.last.filter(|_| 0 < self.tellers)
    }
}

/// A longer gap between two blocks is a standstill. Where nobody knows how often blocks come, none is.
fn ordinary_gap(scene: &Scene<'_>) -> Option<Duration> {
    let with_work = matches!(scene.settings.cadence, Cadence::OnDemand | Cadence::IdleMax(_));
    (with_work || scene.block_time().is_some()).then(|| scene.network.progress.threshold(scene.settings))
}

/// Of three or more tellers two must have reached it, as with the tip; of two the higher is believed, for one may be
/// stuck.
fn corroborated(claims: &[Claim]) -> Option<Height> {
    let mut heights: Vec<Height> = claims.iter().map(|claim| claim.height).collect();
    heights.sort_unstable_by(|a, b| b.cmp(a));
    heights.get(usize::from(3 <= heights.len())).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standstills_count_from_when_a_block_was_the_head_and_are_bounded() {
        let at = |second: u64| Timestamp(i64::try_from(second).unwrap() * 1000);
        let mut finality = Finality::default();
        for n in 1..=100 {
            finality.remember(Standstill { end: at(n * 10), excess: Duration::from_secs(1) });
        }
        assert_eq!(finality.standstills.len(), STANDSTILLS);
        assert_eq!(finality.stood_since(at(0)).as_secs(), 100, "nothing is lost");
        assert_eq!(finality.stood_since(at(990)).as_secs(), 1);
        assert_eq!(finality.stood_since(at(1000)), Duration::ZERO);
        finality.remember(Standstill { end: at(2000), excess: Duration::MAX });
        assert_eq!(finality.stood_since(at(0)), Duration::MAX);
    }

    #[test]
    fn of_three_tellers_two_must_agree_and_of_two_the_higher_counts() {
        let check = |heights: &[u64], wanted: Option<u64>| {
            let claims: Vec<_> = heights.iter().map(|h| Claim { height: Height(*h), time: None }).collect();
            assert_eq!(corroborated(&claims), wanted.map(Height), "{heights:?}");
        };
        check(&[], None);
        check(&[5], Some(5));
        check(&[5, 9], Some(9));
        check(&[5, 1_000_000, 9], Some(9));
        check(&[1, 9, 9, 9], Some(9));
    }
}
