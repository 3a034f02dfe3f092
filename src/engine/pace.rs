//! How many blocks have come lately, for the question whether they come too slowly. What happened before, during and
//! right after a halt is not a pace.

use std::time::Duration;

use super::{
    rule,
    settings::{Cadence, NetworkSettings},
    trail::Trail,
    vitals::Scene,
};
use crate::model::{Height, Timestamp};

/// Where blocks come evenly, so many must be due before their number says anything.
const EXPECTED: u32 = 20;

/// Chernoff's exponent for a third: of n blocks due at random, at most a third come with a probability of `exp(-n * 0.3)`.
const RARITY: f64 = 0.3;

/// Slowness lasts when it has filled so many windows, however long one is.
const WINDOWS: u32 = 3;

/// How the tip rose. A trail gets coarser the longer it is, so each stretch has one of its own.
#[derive(Debug, Default)]
pub struct Pace {
    lately: Trail,
    long: Trail,
}

/// Over what time blocks are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The shortest in which their number says something.
    Lately,
    /// So long that slowness is no passing trouble any more.
    Long,
}

/// A stretch of time in which too few blocks came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// It is that long.
    pub window: Duration,
    /// So many blocks would be normal.
    pub expected: u64,
    /// Fewer blocks than these have come since then.
    pub since: Timestamp,
}

impl Pace {
    /// Takes in a view of the network.
    pub fn follow(&mut self, scene: &Scene<'_>, resting: bool) {
        if resting || scene.blocks.is_none() {
            self.lately.restart(scene.tip, scene.timer.now().at);
            self.long.restart(scene.tip, scene.timer.now().at);
            return;
        }
        let kept = |span| scene.block_time().and_then(|b| window(span, b, scene.settings)).unwrap_or_default();
        for (trail, kept) in [(&mut self.lately, kept(Span::Lately)), (&mut self.long, kept(Span::Long))] {
            if scene.blocks != Some(0) {
                trail.rise(scene.tip, scene.risen);
            }
            trail.forget_before(scene.timer.now().at.before(kept));
        }
    }

    fn trail(&self, span: Span) -> &Trail {
        match span {
            Span::Lately => &self.lately,
            Span::Long => &self.long,
        }
    }

    /// The stretch that is slow once it is as long as its window: since then at most `1 / share` of the blocks due in
    /// `span` have come. `None` where blocks need not come, or nobody knows how often.
    #[must_use]
    pub fn stretch(&self, tip: Height, span: Span, share: u64, scene: (Duration, &NetworkSettings)) -> Option<Stretch> {
        let (block_time, settings) = scene;
        let window = window(span, block_time, settings)?;
        let due = window.as_nanos() / block_time.as_nanos().max(1);
        let expected = u64::try_from(due).unwrap_or(u64::MAX);
        let few = expected.div_ceil(share).saturating_sub(1);
        let since = self.trail(span).reached(Height(tip.0.saturating_sub(few)))?.at;
        Some(Stretch { window, expected, since })
    }

    /// Whether more blocks than `1 / share` of those due in a window have been seen to come within one.
    #[must_use]
    pub fn is_proven(&self, tip: Height, share: u64, scene: (Duration, &NetworkSettings)) -> bool {
        let stretch = self.stretch(tip, Span::Lately, share, scene);
        stretch.zip(self.lately.first()).is_some_and(|(stretch, first)| first.at < stretch.since)
    }

    /// Blocks since `since`, the tip being at `tip`.
    #[must_use]
    pub fn blocks_since(&self, since: Timestamp, tip: Height, span: Span) -> u64 {
        self.trail(span).at(since).map_or(0, |height| tip.above(height))
    }
}

/// The time in which enough blocks are due for their number to mean something: where they come at random, so many that
/// a third of them comes by chance once in the horizon. The long one is several of those. A block time
/// of nothing is none.
#[must_use]
pub fn window(span: Span, block_time: Duration, settings: &NetworkSettings) -> Option<Duration> {
    if block_time.is_zero() {
        return None;
    }
    let blocks = match settings.cadence {
        Cadence::Interval | Cadence::Slots => EXPECTED,
        Cadence::Poisson => {
            let horizon = settings.limits.horizon.as_secs_f64() / block_time.as_secs_f64().max(0.001);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by the logarithm")]
            let blocks = (horizon.max(1.0).ln() / RARITY).ceil() as u32;
            blocks.max(EXPECTED)
        }
        Cadence::IdleMax(_) | Cadence::OnDemand => return None,
    };
    let slow_after = settings.limits.slow_after;
    let lately = block_time.saturating_mul(blocks).max(slow_after);
    Some(match span {
        Span::Lately => lately,
        Span::Long => lately.saturating_mul(WINDOWS).max(slow_after.saturating_mul(rule::TROUBLE_LASTS)),
    })
}
