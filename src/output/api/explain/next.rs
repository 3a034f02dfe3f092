//! What would change the verdict about a network, and when if that is known.

use std::time::Duration;

use serde::Serialize;

use super::{super::Time, counted, voters_needed, whole_seconds};
use crate::{
    engine::{
        settings::{Cadence, NetworkSettings},
        snapshot::{NetworkPhase, NetworkView, Snapshot},
    },
    model::UnixTime,
};

/// A change with its condition.
#[derive(Serialize)]
pub(super) struct Next {
    change: &'static str,
    condition: String,
    at: Option<Time>,
}

impl Next {
    fn new(change: &'static str, condition: impl Into<String>, at: Option<UnixTime>) -> Self {
        Self { change, condition: condition.into(), at: at.map(Time) }
    }
}

/// Every change there may be.
pub(super) fn next(snapshot: &Snapshot, settings: &NetworkSettings, view: &NetworkView) -> Vec<Next> {
    match view.phase {
        NetworkPhase::Live | NetworkPhase::Idle => {
            let mut next = vec![halt(snapshot, settings, view)];
            next.extend(view.quorum_margin.map(|margin| loss(settings, margin)));
            next
        }
        NetworkPhase::Halted => {
            let blocks = settings.limits.recovery_blocks;
            let condition = format!("{blocks} normal blocks arrive and no more core weight is missing than tolerated");
            vec![Next::new("live", condition, None)]
        }
        NetworkPhase::Unreachable => vec![Next::new("unknown", "a voter gives a good answer", None)],
        NetworkPhase::Unknown => {
            let needed = counted(voters_needed(view), "voter");
            let mut next = vec![Next::new("live", format!("answers come from {needed}, one of them at the tip"), None)];
            if view.voters == 0 {
                let after = whole_seconds(settings.limits.unreachable_after);
                next.push(Next::new("unreachable", format!("every node goes on failing for {after}"), None));
            }
            next
        }
    }
}

/// How the network would halt for want of blocks: always, or only once there is work.
fn halt(snapshot: &Snapshot, settings: &NetworkSettings, view: &NetworkView) -> Next {
    let is_due = settings.cadence != Cadence::OnDemand || view.halt_ratio.is_some_and(|ratio| 0.0 < ratio);
    if is_due {
        return Next::new("halted", "no block arrives until then", due(snapshot, view));
    }
    Next::new("halted", "work waits longer than the threshold and no block arrives", None)
}

/// How the network would halt for want of core nodes.
fn loss(settings: &NetworkSettings, margin: i64) -> Next {
    let after = whole_seconds(settings.limits.nodes_offline);
    let condition = match u64::try_from(margin) {
        Ok(margin) => format!(
            "core nodes of weight {} more go offline for {after} and no block arrives",
            margin.saturating_add(1)
        ),
        Err(_) => format!("the core nodes that are missing stay offline for {after} and no block arrives"),
    };
    Next::new("halted", condition, None)
}

/// When blocks will be missing if none arrives; time in which nobody could see does not count. `None` once that is past.
fn due(snapshot: &Snapshot, view: &NetworkView) -> Option<UnixTime> {
    let (threshold, ratio) = view.halt_threshold.zip(view.halt_ratio)?;
    let left = Duration::try_from_secs_f64(threshold.as_secs_f64() * (1.0 - ratio)).ok()?;
    Some(snapshot.taken.wall.after(left))
}
