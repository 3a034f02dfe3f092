//! Whether what is declared about a network can be true of any: its weights, its pace, its branches, its plans.

use std::time::Duration;

use super::halts::shown;
use crate::{
    config::{code::Code, planned::PlannedSite, section::Item, shape::written_duration, survey::NetworkSite},
    engine::settings::Cadence,
    model::UnixTime,
};

/// Where blocks come at random they come rarely, because branches would never end otherwise.
const SHORTEST_RANDOM: Duration = Duration::from_secs(5);

const DAY: Duration = Duration::from_secs(24 * 3600);

/// No network takes longer to make a block final, and lives.
const LONGEST_FINALITY: Duration = DAY;

/// Branches of fewer blocks are ordinary life.
const FEWEST_SPLIT_BLOCKS: u32 = 3;

/// Reorganisations of one block or two are ordinary life.
const SHALLOWEST_REORG: u32 = 2;

/// No work on a network is announced for longer.
const LONGEST_PLAN: Duration = DAY.saturating_mul(7);

/// Whether the core nodes that are listed are part of all there are.
pub(super) fn core_total(network: &NetworkSite<'_>) {
    let (Some(total), Some(item)) = &network.core_total else { return };
    let (_, listed) = network.core();
    if *total < listed {
        let message = format!("the core nodes that are listed weigh {listed} already");
        shown(item).note(Code::OddTotal, message, "set it to the weight of all core nodes there are, or remove it");
    }
}

/// Whether cadence, block time and finality fit each other.
pub(super) fn pace(network: &NetworkSite<'_>) {
    if let (Some(block_time), Some(item)) = &network.block_time
        && network.cadence.0 == Cadence::Poisson
        && *block_time < SHORTEST_RANDOM
    {
        let message =
            format!("blocks that come at random come more rarely than every {}", written_duration(block_time));
        let help = "validators that take turns are cadence \"interval\" or \"slots\"";
        shown(item).note(Code::OddPace, message, help);
    }
    if let (Some(lag), Some(item)) = &network.finality_lag
        && LONGEST_FINALITY < *lag
    {
        let message = format!("finality that is {} late would not be told", written_duration(lag));
        shown(item).note(Code::OddPace, message, "write the normal time from a block to its finality");
    }
}

/// Whether ordinary forks are told.
pub(super) fn branches(network: &NetworkSite<'_>) {
    let (limits, items) = (&network.limits, &network.limit_items);
    if let Some(item) = items.split_blocks.as_ref().filter(|_| limits.split_blocks < FEWEST_SPLIT_BLOCKS) {
        shown(item).note(Code::HastyBranch, "so short a fork is ordinary life", "raise `split_blocks` to 3 or more");
    }
    if let Some(item) = items.reorg_depth.as_ref().filter(|_| limits.reorg_depth < SHALLOWEST_REORG) {
        shown(item).note(Code::HastyBranch, "reorganisations of two blocks are ordinary life", "raise `reorg_depth`");
    }
}

/// Whether announced halts are still to come, and end in time.
pub(super) fn plans(network: &NetworkSite<'_>, now: UnixTime) {
    for plan in &network.planned {
        if let Some((end, item)) = end(plan, network.limits.upgrade_window)
            && end < now
        {
            item.note_as(Code::PastPlan, "this planned halt is over", "remove it, or correct its year");
        } else if let Some(lasting) = lasting(plan).filter(|lasting| LONGEST_PLAN < *lasting) {
            let days = lasting.as_secs() / DAY.as_secs();
            let message = format!("for {days} days no halt of this network would be told");
            let place = plan.until.as_ref().map_or(plan.place.clone(), |(_, item)| item.place());
            place.note(Code::LongPlan, message, "give it the time that the work takes");
        }
    }
}

/// When a halt that is announced is over, if that is certain, and where it is said.
fn end<'p, 'a>(plan: &'p PlannedSite<'a>, usual: Duration) -> Option<(UnixTime, &'p Item<'a>)> {
    match (&plan.until, &plan.from) {
        (Some((until, item)), _) => Some((*until, item)),
        (None, Some((from, item))) if !plan.has_height => Some((from.after(usual), item)),
        _ => None,
    }
}

/// How long a halt is announced to last, where both ends are.
fn lasting(plan: &PlannedSite<'_>) -> Option<Duration> {
    Some(plan.until.as_ref()?.0.since(plan.from.as_ref()?.0))
}
