//! Consensus that needs round after round, or just enough weight to go on, is a chain about to stop. One failed round is
//! life; what counts is trouble that lasts longer than the calm around it.

use std::time::Duration;

use super::{NetworkCase, Verdict};
use crate::engine::{
    finding::Finding,
    rounds::{Unrest, climbing_limit, low_limit},
};

/// `ConsensusStruggling`: rounds climb, or too little weight signs.
pub fn judge(case: &NetworkCase<'_>) -> Verdict {
    let network = case.network;
    if !network.sight {
        return Verdict::Unknown;
    }
    let block_time = network.progress.block_time(case.settings);
    let (climbing, low) = (&network.vitals.rounds.climbing, &network.vitals.rounds.low);
    let (climbing_limit, low_limit) = (climbing_limit(block_time), low_limit(block_time));
    let since = |unrest: &Unrest| case.timer.now().at.since(unrest.since());
    if is_due(case, climbing, climbing_limit) {
        let round = network.vitals.rounds.round;
        return Verdict::Holds(Finding::RoundsClimb { round, lasting: since(climbing) });
    }
    if is_due(case, low, low_limit) {
        let per_mille = network.vitals.rounds.participation;
        return Verdict::Holds(Finding::ParticipationLow { per_mille, lasting: since(low) });
    }
    let calm = climbing.is_calm(climbing_limit) && low.is_calm(low_limit);
    let unknown = climbing.is_unknown() && low.is_unknown();
    if unknown || (network.lives.lives(super::STRUGGLING) && !calm) { Verdict::Unknown } else { Verdict::Clear }
}

fn is_due(case: &NetworkCase<'_>, unrest: &Unrest, limit: Duration) -> bool {
    unrest.due(limit).is_some_and(|due| case.timer.passed(due))
}
