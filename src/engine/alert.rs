//! The life of an alert: inactive, pending for a while, firing, held for a while, resolved. Not knowing freezes it.
//! A muted alert lives like any other but is not announced; if it outlives what mutes it, it is announced after a
//! grace, for what follows from a halt often clears by itself right after it.
//!
//! Trouble that comes and goes would be told again and again. Its beginning is never put off; instead its end is: an
//! alert that was announced only lately is held, shown as clear, until its flap window is over. So in any such window
//! it begins at most once and ends at most once. It may get louder in between; within one life it never gets quieter.

use std::time::Duration;

use super::{
    finding::Finding,
    resume::{Announced, Trial},
    snapshot::{Alert, AlertKey, AlertState, Effect, QuietChange},
    timer::Timer,
};
use crate::model::{Level, Now, Timestamp, UnixTime};

/// A muted alert that outlives its muter is announced this long after.
const GRACE: Duration = Duration::from_secs(60);

/// What a rule says about now.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Nothing is wrong.
    Clear,
    /// There is not enough evidence, or not enough to change one's mind.
    Unknown,
    /// It holds, and why.
    Holds(Finding),
}

/// How long a finding must hold before it fires, and how long it must be clear before it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Pending for this long.
    pub wait: Duration,
    /// Firing on for this long after it cleared.
    pub hold: Duration,
}

/// Where an alert is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The finding has held since.
    Pending {
        /// Since when.
        since: Timestamp,
    },
    /// It fires; if it has cleared, since when.
    Firing {
        /// When the finding went away.
        clear_since: Option<Timestamp>,
    },
    /// It is over, but was announced so lately that its end is not told yet. It mutes nobody any more.
    Held,
}

/// One life of one alert.
#[derive(Debug, Clone)]
pub struct Life {
    /// Where it is.
    pub phase: Phase,
    /// It goes on from before this engine was made, and has not been found anew.
    pub trial: Option<Trial>,
    /// Its beginning was told by the clock of an earlier run: setting ours does not move it.
    dated: bool,
    level: Level,
    active_at: UnixTime,
    fired_at: Option<UnixTime>,
    clear_at: Option<UnixTime>,
    announced: Option<Timestamp>,
    muter: Option<AlertKey>,
    unmuted_at: Option<Timestamp>,
    finding: Finding,
}

/// The lives of all alerts about one subject, in the order of its rules. Most are `None` most of the time.
#[derive(Debug)]
pub struct Lives<const N: usize>([Option<Box<Life>>; N]);

impl<const N: usize> Default for Lives<N> {
    fn default() -> Self {
        Self([const { None }; N])
    }
}

impl<const N: usize> Lives<N> {
    /// The life at a rule's position.
    pub fn at(&mut self, position: usize) -> &mut Option<Box<Life>> {
        &mut self.0[position]
    }

    /// The same, to be looked at.
    #[must_use]
    pub fn get(&self, position: usize) -> Option<&Life> {
        self.0[position].as_deref()
    }

    /// Whether the alert at a rule's position fires.
    #[must_use]
    pub fn fires(&self, position: usize) -> bool {
        self.0[position].as_ref().is_some_and(|life| life.fires())
    }

    /// Whether the alert at a rule's position pends or fires.
    #[must_use]
    pub fn lives(&self, position: usize) -> bool {
        self.0[position].is_some()
    }

    /// Those that live.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Life)> {
        self.0.iter().enumerate().filter_map(|(i, life)| Some((i, &**life.as_ref()?)))
    }

    /// Gives what mutes them its new place; what is no longer there mutes no more.
    pub fn replace_muters(&mut self, now: Timestamp, place: &impl Fn(AlertKey) -> Option<AlertKey>) {
        for life in self.0.iter_mut().flatten() {
            let before = life.muter;
            life.muter = before.and_then(place);
            if before.is_some() && life.muter.is_none() {
                life.unmuted_at = Some(now);
            }
        }
    }

    /// Our wall clock was set by so many milliseconds: what was, was then by the new clock.
    pub fn set_clock(&mut self, by_ms: i64) {
        self.0.iter_mut().flatten().for_each(|life| life.set_clock(by_ms));
    }

    /// What only pended starts pending anew.
    pub fn forgive(&mut self, now: Timestamp) {
        self.0.iter_mut().flatten().for_each(|life| life.forgive(now));
    }
}

/// What an alert is called and how it lives, wherever it stands in its life.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its identity.
    pub key: AlertKey,
    /// How loud it is.
    pub level: Level,
    /// How long it waits and holds.
    pub policy: Policy,
    /// It begins and ends at most once in this time.
    pub flap_window: Duration,
    /// The firing alert that mutes it, if any.
    pub muter: Option<AlertKey>,
}

impl Life {
    fn new(setting: &Setting, now: Now, finding: Finding) -> Self {
        Self {
            phase: Phase::Pending { since: now.at },
            trial: None,
            dated: false,
            level: setting.level,
            active_at: now.wall,
            fired_at: None,
            clear_at: None,
            announced: None,
            muter: setting.muter,
            unmuted_at: None,
            finding,
        }
    }

    /// One that was announced before. Our clock may be wrong as yet: the times it had are kept.
    #[must_use]
    pub fn resumed(alert: &Announced, now: Now) -> Self {
        let fired_at = alert.fired_at;
        Self {
            phase: Phase::Firing { clear_since: None },
            trial: Some(Trial::default()),
            dated: true,
            level: alert.level,
            active_at: alert.active_at.min(fired_at),
            fired_at: Some(fired_at),
            clear_at: None,
            announced: Some(now.at.before(now.wall.since(fired_at))),
            muter: None,
            unmuted_at: None,
            finding: Finding::Resumed,
        }
    }

    /// Whether it fires, or did until right now. One that is only held does not.
    #[must_use]
    pub fn fires(&self) -> bool {
        matches!(self.phase, Phase::Firing { .. })
    }

    fn pends(&self) -> bool {
        matches!(self.phase, Phase::Pending { .. })
    }

    /// Our wall clock was set by so many milliseconds.
    pub fn set_clock(&mut self, by_ms: i64) {
        let set = |at: UnixTime| UnixTime::from_millis(at.millis().saturating_add(by_ms));
        if !self.dated {
            (self.active_at, self.fired_at) = (set(self.active_at), self.fired_at.map(set));
        }
        self.clear_at = self.clear_at.map(set);
    }

    /// Wall time at which it began firing.
    #[must_use]
    pub fn fired_at(&self) -> Option<UnixTime> {
        self.fired_at
    }

    /// Whether it fires and its finding holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        matches!(self.phase, Phase::Firing { clear_since: None })
    }

    /// If it only pended, it starts pending anew; so does its trial, if it is on one.
    pub fn forgive(&mut self, now: Timestamp) {
        self.trial = self.trial.take().map(|_| Trial::default());
        if let Phase::Pending { since } = &mut self.phase {
            *since = now;
        }
    }

    /// The alert as the world sees it.
    #[must_use]
    pub fn shown(&self, key: AlertKey) -> Alert {
        Alert {
            key,
            level: self.level,
            state: if self.pends() { AlertState::Pending } else { AlertState::Firing },
            active_at: self.active_at,
            fired_at: self.fired_at,
            clear_since: self.clear_at,
            resolved_at: None,
            inhibited_by: self.muter,
            silenced_by: None,
            finding: self.finding.clone(),
        }
    }

    /// The alert at its end.
    #[must_use]
    pub fn ended(&self, key: AlertKey, now: Now) -> Alert {
        Alert { state: AlertState::Resolved, resolved_at: Some(now.wall), ..self.shown(key) }
    }

    /// What to say about its end.
    #[must_use]
    pub fn farewell(&self, key: AlertKey, now: Now) -> Effect {
        let alert = self.ended(key, now);
        match (self.announced, self.pends()) {
            (Some(_), _) => Effect::Resolved(alert),
            (None, false) => Effect::Quiet(alert, QuietChange::EndedMuted),
            (None, true) => Effect::Quiet(alert, QuietChange::Withdrawn),
        }
    }
}

/// Moves one alert through its life and appends what changed to `effects`. Returns whether it began firing, or got
/// louder while it fires.
pub fn live(
    slot: &mut Option<Box<Life>>,
    verdict: Verdict,
    setting: &Setting,
    timer: &Timer,
    effects: &mut Vec<Effect>,
) -> bool {
    let now = timer.now();
    let before = slot.as_ref().filter(|life| !life.pends()).map(|life| life.level);
    if let Verdict::Holds(finding) = verdict {
        let life = slot.get_or_insert_with(|| {
            let life = Life::new(setting, now, finding.clone());
            if !setting.policy.wait.is_zero() {
                effects.push(Effect::Quiet(life.shown(setting.key), QuietChange::Pended));
            }
            Box::new(life)
        });
        life.hold_on(finding, setting, timer, effects);
    } else if verdict == Verdict::Clear
        && let Some(life) = slot
        && life.let_go(setting, timer)
    {
        effects.push(life.farewell(setting.key, now));
        *slot = None;
    }
    if let Some(life) = slot {
        life.speak(setting, timer, effects);
    }
    slot.as_ref().is_some_and(|life| !life.pends() && before.is_none_or(|level| life.level < level))
}

impl Life {
    /// The finding holds: pending becomes firing when it has waited long enough, firing goes on.
    fn hold_on(&mut self, finding: Finding, setting: &Setting, timer: &Timer, effects: &mut Vec<Effect>) {
        self.finding = finding;
        self.clear_at = None;
        let louder = setting.level < self.level;
        self.level = self.level.min(setting.level);
        if self.trial.take().is_some() && !louder {
            effects.push(Effect::Quiet(self.shown(setting.key), QuietChange::FoundAgain));
        }
        match self.phase {
            Phase::Pending { since } if timer.passed(since.after(setting.policy.wait)) => {
                self.phase = Phase::Firing { clear_since: None };
                self.fired_at = Some(timer.now().wall);
                if setting.muter.is_some() {
                    self.muter = setting.muter;
                    effects.push(Effect::Quiet(self.shown(setting.key), QuietChange::FiredMuted));
                }
            }
            Phase::Pending { .. } => {}
            Phase::Firing { .. } | Phase::Held => self.phase = Phase::Firing { clear_since: None },
        }
        if louder && self.announced.is_some() {
            effects.push(Effect::Raised(self.shown(setting.key)));
        }
    }

    /// The finding is gone: returns whether the alert is over.
    fn let_go(&mut self, setting: &Setting, timer: &Timer) -> bool {
        match self.phase {
            Phase::Pending { .. } => return true,
            Phase::Firing { clear_since } => {
                let since = clear_since.unwrap_or(timer.now().at);
                self.clear_at = self.clear_at.or(Some(timer.now().wall));
                self.phase = Phase::Firing { clear_since: Some(since) };
                if !timer.passed(since.after(setting.policy.hold)) {
                    return false;
                }
                self.phase = Phase::Held;
            }
            Phase::Held => {}
        }
        self.announced.is_none_or(|at| timer.passed(at.after(setting.flap_window)))
    }

    /// Announces the alert once it fires unmuted.
    fn speak(&mut self, setting: &Setting, timer: &Timer, effects: &mut Vec<Effect>) {
        let was_muted = std::mem::replace(&mut self.muter, setting.muter).is_some();
        if self.muter.is_some() {
            self.unmuted_at = None;
            return;
        }
        if was_muted {
            self.unmuted_at = Some(timer.now().at);
        }
        let graced = self.unmuted_at.is_none_or(|at| timer.passed(at.after(GRACE)));
        if self.announced.is_none() && graced && matches!(self.phase, Phase::Firing { clear_since: None }) {
            self.announced = Some(timer.now().at);
            effects.push(Effect::Fired(self.shown(setting.key)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::snapshot::Subject,
        model::{AlertName, NetworkIndex},
    };

    /// One character a second: `!` holds, `.` clear, `?` unknown; in capitals of mutes, `m` holds and is muted, `u` is
    /// clear and muted. Out come `P`ended, `W`ithdrawn, `F`ired, `R`esolved, `M` fired muted, `E`nded muted.
    fn check((wait, hold): (u64, u64), script: &str, expected: &str) {
        check_flaps((wait, hold, 0), script, expected);
    }

    /// The same with a flap window, and `L` holds louder: `A` is what got louder.
    fn check_flaps((wait, hold, flap): (u64, u64, u64), script: &str, expected: &str) {
        let seconds = Duration::from_secs;
        let key = |name| AlertKey { name, subject: Subject::Network(NetworkIndex(0)) };
        let mut slot = None;
        let mut actual = String::new();
        for (second, word) in script.chars().enumerate() {
            let now = Now { at: Timestamp(i64::try_from(second).unwrap() * 1000), ..Now::default() };
            let timer = Timer::new(now);
            let verdict = match word {
                '!' | 'm' | 'L' => Verdict::Holds(Finding::Alive),
                '.' | 'u' => Verdict::Clear,
                _ => Verdict::Unknown,
            };
            let setting = Setting {
                key: key(AlertName::NodeOffline),
                level: if word == 'L' { Level::L1 } else { Level::L2 },
                policy: Policy { wait: seconds(wait), hold: seconds(hold) },
                flap_window: seconds(flap),
                muter: matches!(word, 'm' | 'u').then(|| key(AlertName::NetworkHalted)),
            };
            let mut effects = Vec::new();
            live(&mut slot, verdict, &setting, &timer, &mut effects);
            let mut letters = effects.iter().map(|effect| match effect {
                Effect::Fired(_) => 'F',
                Effect::Raised(_) => 'A',
                Effect::Resolved(_) => 'R',
                Effect::Quiet(_, QuietChange::Pended) => 'P',
                Effect::Quiet(_, QuietChange::Withdrawn) => 'W',
                Effect::Quiet(_, QuietChange::FiredMuted) => 'M',
                Effect::Quiet(_, QuietChange::EndedMuted) => 'E',
                Effect::Quiet(_, QuietChange::FoundAgain) => 'G',
                Effect::Quiet(_, QuietChange::FiredSilenced) | Effect::NodeState { .. } => '#',
            });
            actual.push(letters.next_back().unwrap_or(' '));
        }
        assert_eq!(actual.trim_end(), expected, "{script}");
    }

    #[test]
    fn an_alert_lives_through_pending_firing_and_hold() {
        check((0, 0), "..!!..", "  F R");
        check((2, 0), "!!!!..", "P F R");
        check((3, 0), "!!..", "P W");
        check((0, 2), "!.!....", "F    R");
    }

    #[test]
    fn not_knowing_freezes_pending_and_firing() {
        check((2, 0), "!??!.", "P  FR");
        check((0, 0), "!????.", "F    R");
        check((0, 0), "???", "");
    }

    #[test]
    fn a_muted_alert_is_not_announced_and_does_not_resolve() {
        check((0, 0), "mmmu", "M  E");
        check((0, 0), "mm.", "M E");
        check((2, 0), "mmm.", "P ME");
    }

    #[test]
    fn an_announced_alert_that_is_muted_later_still_resolves() {
        check((0, 0), "!mmu", "F  R");
    }

    #[test]
    fn what_outlives_its_muter_is_announced_after_a_grace() {
        check((0, 0), &format!("mm{}", "!".repeat(62)), &format!("M{}F", " ".repeat(61)));
        check((0, 0), &format!("mm{}.", "!".repeat(30)), &format!("M{}E", " ".repeat(31)));
    }

    #[test]
    fn in_a_flap_window_an_alert_begins_once_and_ends_once() {
        check_flaps((0, 0, 8), "!.!.!.!.....", "F       R");
        check_flaps((0, 0, 8), "!......!....", "F       R");
        check_flaps((0, 0, 8), "!........!...", "F       RF");
        check_flaps((0, 0, 4), "!!!!!!.!....", "F     RF   R");
        check_flaps((0, 2, 3), "!!!!!....", "F      R");
    }

    #[test]
    fn not_knowing_freezes_what_is_held() {
        check_flaps((0, 0, 4), "!.????????.", "F         R");
    }

    #[test]
    fn what_was_never_announced_is_not_held() {
        check_flaps((0, 0, 8), "mu", "ME");
    }

    #[test]
    fn an_alert_gets_louder_once_and_never_quieter() {
        check_flaps((0, 0, 0), "!L!L.", "FA  R");
        check_flaps((2, 0, 0), "!LL!.", "P F R");
        check_flaps((0, 0, 9), "!..L......", "F  A     R");
    }
}
