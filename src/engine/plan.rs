//! Halts that were announced: by the configuration, by a notice, by the chain itself. Each has a window, and inside a
//! window standing still is no alarm.
//!
//! A window opens at its time, or when the chain has made the last block it will make before its upgrade, whichever
//! comes first. It closes at its time; one without an end closes after `upgrade_window`, or when blocks go on. The
//! clock of missing blocks then starts anew, so that a halt that overruns its window is told one threshold later.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    settings::NetworkSettings,
    timer::{Timer, earlier},
};
use crate::{
    model::{Height, Now, PlannedHalt, Timestamp, UnixTime},
    observation::Upgrade,
};

/// Announcements remembered of one network at the most; those that are over go first, then the oldest.
const ANNOUNCED: usize = 64;

/// Heights remembered for plans that are no longer there.
const OLD_HEIGHTS: usize = 64;

/// A wall clock that differs by more than this from what it said before was set.
const CLOCK_DRIFT_MS: u64 = 2000;

/// A clock that was set is believed when it has kept its new time for this long.
const CLOCK_SETTLES: Duration = Duration::from_secs(600);

/// What was announced about one network, and whether it stands still by plan now.
#[derive(Debug, Default)]
pub struct Plans {
    announced: Vec<PlannedHalt>,
    /// What the chain itself has planned.
    upgrade: Option<PlannedHalt>,
    /// How the tip stands to the heights of the plans.
    heights: BTreeMap<Height, Reach>,
    wall: SteadyWall,
    /// The window that is open; of several the one that closes last.
    pub open: Option<Open>,
    /// When the last one closed.
    pub closed: Option<Timestamp>,
}

/// An open window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// What is done.
    pub kind: Arc<str>,
    /// When it closes.
    pub until: Timestamp,
}

/// How the tip stands to the last block before an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The block is still to come.
    Ahead,
    /// It came then, or was the newest when we heard of the plan: whoever hears of it late, as after a restart of ours,
    /// waits no longer for its end.
    At(Timestamp),
    /// Later ones had come when we heard of the plan: the height says nothing.
    Passed,
}

impl Plans {
    /// Remembers an announcement. It replaces one of the same kind for the same height or for an overlapping time:
    /// plans change. Another time that does not overlap is another halt.
    pub fn announce(&mut self, planned: PlannedHalt, now: Now) {
        self.announced.retain(|known| !is_same(known, &planned, now));
        if self.announced.len() == ANNOUNCED {
            self.announced.retain(|known| known.until.is_none_or(|until| now.at < until.monotonic(now)));
        }
        if self.announced.len() == ANNOUNCED {
            self.announced.remove(0);
        }
        self.announced.push(planned);
    }

    /// Looks which windows are open. `upgrade` is what the chain has planned, by the corroborated word of its nodes; the
    /// tip comes with the time at which it rose. Returns when the last window closed, if that happened since the last look.
    pub fn settle(
        &mut self,
        settings: &NetworkSettings,
        upgrade: Option<Upgrade>,
        tip: Option<(Height, Timestamp)>,
        timer: &Timer,
    ) -> Option<Timestamp> {
        let (tip, risen) = tip.unzip();
        self.follow(settings, upgrade, tip);
        if self.open.is_none() && self.all(settings).next().is_none() {
            return None;
        }
        self.mark_heights(settings, tip.zip(risen));
        let now = self.wall.read(timer);
        let windows = self.all(settings).filter_map(|plan| self.window(plan, settings, tip, (now, timer)));
        let open = windows.max_by_key(|open| open.until);
        let before = std::mem::replace(&mut self.open, open);
        let closed = before.filter(|_| self.open.is_none()).map(|before| before.until.min(now.at));
        self.closed = closed.or(self.closed);
        closed
    }

    fn all<'a>(&'a self, settings: &'a NetworkSettings) -> impl Iterator<Item = &'a PlannedHalt> {
        settings.planned.iter().chain(&self.announced).chain(&self.upgrade)
    }

    /// The chain's own plan is what its nodes say, but a plan under way stays until blocks go on: nodes that restart
    /// with the new version know nothing of it any more.
    fn follow(&mut self, settings: &NetworkSettings, upgrade: Option<Upgrade>, tip: Option<Height>) {
        let planned = self.upgrade.as_ref().and_then(|plan| plan.at_height);
        let under_way = planned.is_some_and(|height| {
            matches!(self.heights.get(&height), Some(Reach::At(_))) && tip < Some(resumed_at(height, settings))
        });
        if !under_way {
            self.upgrade = upgrade.map(|upgrade| PlannedHalt {
                kind: upgrade.name,
                from: None,
                until: None,
                at_height: Some(upgrade.height),
            });
        }
    }

    fn mark_heights(&mut self, settings: &NetworkSettings, tip: Option<(Height, Timestamp)>) {
        let Some((tip, risen)) = tip else { return };
        let planned: Vec<Height> = self.all(settings).filter_map(|plan| plan.at_height).collect();
        for height in &planned {
            let distance = tip.cmp(&last_before(*height));
            let reach = self.heights.entry(*height).or_insert(match distance {
                std::cmp::Ordering::Greater => Reach::Passed,
                _ => Reach::Ahead,
            });
            if *reach == Reach::Ahead && distance.is_ge() {
                *reach = Reach::At(risen);
            }
        }
        if planned.len().saturating_add(OLD_HEIGHTS) < self.heights.len() {
            self.heights.retain(|height, _| planned.contains(height));
        }
    }

    /// The plan's window, if it is open.
    fn window(
        &self,
        plan: &PlannedHalt,
        settings: &NetworkSettings,
        tip: Option<Height>,
        (now, timer): (Now, &Timer),
    ) -> Option<Open> {
        let reached = plan.at_height.and_then(|height| match self.heights.get(&height)? {
            Reach::At(at) => Some(*at),
            Reach::Ahead | Reach::Passed => None,
        });
        let begin = earlier(plan.from.map(|from| from.monotonic(now)), reached)?;
        let resumed = plan.at_height.is_some_and(|height| tip >= Some(resumed_at(height, settings)));
        let until = match plan.until {
            Some(until) => until.monotonic(now),
            None if resumed => return None,
            None => begin.after(settings.limits.upgrade_window),
        };
        (begin < until && timer.passed(begin) && !timer.passed(until))
            .then(|| Open { kind: Arc::clone(&plan.kind), until })
    }
}

/// The last block before an upgrade.
fn last_before(height: Height) -> Height {
    Height(height.0.saturating_sub(1))
}

/// The block with which a chain has left its upgrade behind.
fn resumed_at(height: Height, settings: &NetworkSettings) -> Height {
    Height(last_before(height).0.saturating_add(u64::from(settings.limits.recovery_blocks)))
}

/// Whether two announcements are about one halt.
fn is_same(known: &PlannedHalt, new: &PlannedHalt, now: Now) -> bool {
    let begin = |plan: &PlannedHalt| plan.from.map_or(Timestamp(i64::MIN), |from| from.monotonic(now));
    let end = |plan: &PlannedHalt| plan.until.map_or(Timestamp(i64::MAX), |until| until.monotonic(now));
    let at_once = begin(known) <= end(new) && begin(new) <= end(known);
    known.kind == new.kind && (at_once || (known.at_height.is_some() && known.at_height == new.at_height))
}

/// What the chain has planned by the word of its voters: of three or more two must say so.
#[must_use]
pub fn corroborated<'a>(said: impl Iterator<Item = Option<&'a Upgrade>>) -> Option<Upgrade> {
    let mut voters = 0_usize;
    let mut told: BTreeMap<Height, (usize, &Upgrade)> = BTreeMap::new();
    for upgrade in said {
        voters += 1;
        if let Some(upgrade) = upgrade {
            told.entry(upgrade.height).or_insert((0, upgrade)).0 += 1;
        }
    }
    let needed = if 3 <= voters { 2 } else { 1 };
    let most = told.into_values().filter(|(nodes, _)| needed <= *nodes);
    most.max_by_key(|(nodes, upgrade)| (*nodes, std::cmp::Reverse(upgrade.height))).map(|(_, it)| it.clone())
}

/// Our wall clock as far as plans trust it: it may drift, but a jump must last before it opens or closes a window.
#[derive(Debug, Default)]
struct SteadyWall {
    /// Wall clock minus monotonic clock, in milliseconds.
    believed: Option<i64>,
    /// What it has been since when, while that is not believed.
    doubted: Option<(Timestamp, i64)>,
}

impl SteadyWall {
    fn read(&mut self, timer: &Timer) -> Now {
        let now = timer.now();
        let offset = now.wall.millis().saturating_sub(now.at.0);
        let near = |other: i64| offset.abs_diff(other) <= CLOCK_DRIFT_MS;
        let since = match self.doubted {
            Some((since, doubted)) if near(doubted) => since,
            _ => now.at,
        };
        if self.believed.is_none_or(near) || timer.passed(since.after(CLOCK_SETTLES)) {
            (self.believed, self.doubted) = (Some(offset), None);
        } else {
            self.doubted = Some((since, offset));
        }
        let wall = now.at.0.saturating_add(self.believed.unwrap_or(offset));
        Now { at: now.at, wall: UnixTime::from_millis(wall) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Instant;

    fn plan(kind: &str, from: Option<i64>, until: Option<i64>, at_height: Option<u64>) -> PlannedHalt {
        let instant = |second: i64| Instant::At(Timestamp(second * 1000));
        PlannedHalt {
            kind: kind.into(),
            from: from.map(instant),
            until: until.map(instant),
            at_height: at_height.map(Height),
        }
    }

    /// Kind, from, until, height.
    type Announced = (&'static str, Option<i64>, Option<i64>, Option<u64>);

    /// How many plans are known after these announcements.
    fn check(announced: &[Announced], wanted: usize) {
        let mut plans = Plans::default();
        for (kind, from, until, height) in announced {
            plans.announce(plan(kind, *from, *until, *height), Now::default());
        }
        assert_eq!(plans.announced.len(), wanted, "{announced:?}");
        let (kind, from, until, height) = announced.last().unwrap();
        assert_eq!(plans.announced.last(), Some(&plan(kind, *from, *until, *height)), "the last word counts");
    }

    #[test]
    fn an_announcement_replaces_what_it_changes_and_nothing_else() {
        check(&[("upgrade", Some(10), Some(20), None), ("upgrade", Some(10), Some(20), None)], 1);
        check(&[("upgrade", Some(10), Some(20), None), ("upgrade", Some(15), Some(40), None)], 1);
        check(&[("upgrade", Some(10), Some(20), Some(7)), ("upgrade", Some(30), Some(40), Some(7))], 1);
        check(&[("upgrade", None, None, Some(7)), ("upgrade", None, None, Some(9))], 1);
        check(&[("upgrade", Some(10), Some(20), None), ("upgrade", Some(30), Some(40), None)], 2);
        check(&[("upgrade", Some(10), Some(20), None), ("backup", Some(15), Some(25), None)], 2);
    }

    #[test]
    fn a_flood_of_announcements_is_bounded_and_what_is_over_goes_first() {
        let mut plans = Plans::default();
        let now = Now { at: Timestamp(1_000_000), ..Now::default() };
        plans.announce(plan("open", Some(900), Some(2000), None), now);
        (0..500).for_each(|i| plans.announce(plan("old", Some(i), Some(i), None), now));
        assert!(plans.announced.len() <= ANNOUNCED);
        assert_eq!(&*plans.announced[0].kind, "open");
        (0..500).for_each(|i| plans.announce(plan("new", Some(5000 + i * 2), Some(5000 + i * 2), None), now));
        assert_eq!(plans.announced.len(), ANNOUNCED);
    }

    #[test]
    fn of_three_voters_two_must_know_of_an_upgrade() {
        let upgrade = |height: u64| Upgrade { name: "v2".into(), height: Height(height) };
        let check = |said: &[u64], wanted: Option<u64>| {
            let said: Vec<_> = said.iter().map(|height| (0 < *height).then(|| upgrade(*height))).collect();
            let found = corroborated(said.iter().map(Option::as_ref));
            assert_eq!(found.map(|it| it.height.0), wanted, "{said:?}");
        };
        check(&[], None);
        check(&[7], Some(7));
        check(&[0, 7], Some(7));
        check(&[0, 0, 7], None);
        check(&[7, 0, 7], Some(7));
        check(&[8, 7, 7, 8, 8], Some(8));
    }

    #[test]
    fn a_wall_clock_that_is_set_is_believed_when_it_lasts() {
        /// The wall clock at second 0: long enough after its epoch that a jump back does not leave it.
        const BOOT: i64 = 1_000_000;
        let mut wall = SteadyWall::default();
        let mut read = |second: i64, off: i64| {
            let now = Now { at: Timestamp(second * 1000), wall: UnixTime::from_millis((BOOT + second + off) * 1000) };
            wall.read(&Timer::new(now)).wall.millis() / 1000 - BOOT - second
        };
        assert_eq!((read(0, 0), read(10, 1), read(20, 2)), (0, 1, 2), "drift is followed");
        assert_eq!((read(30, 3600), read(600, 3600), read(620, 2)), (2, 2, 2), "a jump there and back is nothing");
        assert_eq!((read(700, -3600), read(1299, -3600), read(1300, -3600)), (2, 2, -3600));
    }
}
