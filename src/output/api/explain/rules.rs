//! Every rule about a network with its limit and what stands against it now: a halt that is not told must be as
//! explicable as one that is.

use std::time::Duration;

use serde::Serialize;

use super::whole_seconds;
use crate::{
    engine::{
        settings::{Cadence, NetworkSettings},
        snapshot::{Alert, NetworkView, NodeView, Snapshot, Subject},
    },
    model::{AlertName, alert::Scope},
    output::label::shown_state,
};

/// A rule, its limit, and what is so now.
#[derive(Serialize)]
pub(super) struct ExplainedRule {
    alert: &'static str,
    state: &'static str,
    limit: String,
    now: String,
}

/// What is known of the network at a position.
struct Case<'a> {
    settings: &'a NetworkSettings,
    view: &'a NetworkView,
    nodes: &'a [NodeView],
    gap: Option<Duration>,
}

/// Every rule about networks, in the order of the documentation.
pub(super) fn rules(snapshot: &Snapshot, index: usize) -> Vec<ExplainedRule> {
    let (Some(settings), Some(view)) = (snapshot.settings.networks.get(index), snapshot.networks.get(index)) else {
        return Vec::new();
    };
    let nodes = snapshot.settings.nodes_by_network().get(index).cloned().unwrap_or_default();
    let nodes = snapshot.nodes.get(nodes).unwrap_or_default();
    let case = Case { settings, view, nodes, gap: super::gap(snapshot, view) };
    let about = |alert: &&Alert| matches!(alert.key.subject, Subject::Network(it) if it.index() == index);
    let names = AlertName::ALL.iter().copied().filter(|name| name.scope() == Scope::Network);
    names
        .map(|name| {
            let alert = snapshot.alerts.iter().filter(about).find(|alert| alert.key.name == name);
            ExplainedRule {
                alert: name.as_str(),
                state: alert.map_or("inactive", shown_state),
                limit: case.limit(name),
                now: alert.map_or_else(|| case.now(name), |alert| alert.finding.to_string()),
            }
        })
        .collect()
}

impl Case<'_> {
    /// What would have to be so.
    fn limit(&self, name: AlertName) -> String {
        use AlertName as N;
        let limits = &self.settings.limits;
        match name {
            N::NetworkHalted => self.halt(),
            N::NetworkUnreachable => {
                format!("no good answer from any node for {}", whole_seconds(limits.unreachable_after))
            }
            N::PlannedHalt => "a halt is announced for now".to_owned(),
            N::FinalityStalled => self.finality(),
            N::NetworkSplit => format!(
                "two branches grow, the shorter {} blocks long and {} old",
                limits.split_blocks,
                whole_seconds(limits.split_after)
            ),
            N::DeepReorg => format!("more than {} blocks are replaced by others", limits.reorg_depth),
            N::QuorumAtRisk => "no core weight is left to lose".to_owned(),
            N::DoubleSign => "a node tells that a validator signed twice".to_owned(),
            N::ConsensusStruggling => "rounds climb, or too few take part".to_owned(),
            N::BlocksSlow => {
                format!("fewer than a third of the normal blocks for {}", whole_seconds(limits.slow_after))
            }
            N::TransactionBacklog => {
                format!("more and more transactions wait, the oldest for {}", whole_seconds(limits.confirmation_limit))
            }
            N::EmptyBlocks => {
                format!("only empty blocks for {} while transactions wait", whole_seconds(limits.empty_after))
            }
            N::UnusualTraffic => "blocks carry far more or far fewer transactions than usual".to_owned(),
            _ => String::new(),
        }
    }

    fn halt(&self) -> String {
        let limits = &self.settings.limits;
        let after = self.view.halt_threshold.unwrap_or(limits.halt_floor);
        let work = if self.settings.cadence == Cadence::OnDemand { " while transactions wait" } else { "" };
        let missing = format!("no block for {}{work}", whole_seconds(after));
        match self.view.quorum_tolerated {
            Some(tolerated) => {
                let lasting = whole_seconds(limits.nodes_offline);
                format!(
                    "{missing}; or core nodes of more weight than {tolerated} offline for {lasting} and no block since"
                )
            }
            None => missing,
        }
    }

    fn finality(&self) -> String {
        let limits = &self.settings.limits;
        let floor = whole_seconds(limits.finality_floor);
        match self.view.finality_limit {
            Some(limit) => format!("the final block is {} behind the head", whole_seconds(limit)),
            None => format!(
                "the final block is further behind the head than {} times what is normal, and than {floor}",
                limits.finality_factor
            ),
        }
    }

    /// What is so, while there is no alert.
    fn now(&self, name: AlertName) -> String {
        use AlertName as N;
        match name {
            N::NetworkHalted => self.gap.map_or_else(
                || "no block has been seen".to_owned(),
                |gap| format!("the last block came {} ago", whole_seconds(gap)),
            ),
            N::NetworkUnreachable => format!("{} of {} voters answer", self.view.voters, self.view.voters_expected),
            N::PlannedHalt => match self.settings.planned.len() {
                0 => "none is known of".to_owned(),
                count => format!("{count} known of"),
            },
            N::FinalityStalled => self.view.finality_lag.map_or_else(
                || "no voter tells what is final".to_owned(),
                |lag| format!("finality is {} behind", whole_seconds(lag)),
            ),
            N::QuorumAtRisk => match (self.view.quorum_margin, self.view.quorum_tolerated) {
                (Some(margin), Some(tolerated)) => format!("of {tolerated} that may be lost {margin} is left"),
                _ => "no core node is known".to_owned(),
            },
            N::ConsensusStruggling => self.consensus(),
            N::BlocksSlow => self.view.block_time.map_or_else(
                || "what is normal is not known yet".to_owned(),
                |time| format!("a block every {} is normal", humantime::format_duration(time.value)),
            ),
            N::TransactionBacklog | N::EmptyBlocks => self.waiting(),
            N::NetworkSplit | N::DeepReorg => "none is seen".to_owned(),
            N::DoubleSign => "none is told".to_owned(),
            _ => "nothing of it is seen".to_owned(),
        }
    }

    fn consensus(&self) -> String {
        let round = self.view.round.map(|round| format!("round {round}"));
        let part = self.view.participation.map(|it| format!("{}.{} % of the weight takes part", it / 10, it % 10));
        let known: Vec<String> = round.into_iter().chain(part).collect();
        if known.is_empty() { "no voter tells of consensus".to_owned() } else { known.join(", ") }
    }

    fn waiting(&self) -> String {
        let waiting = self.nodes.iter().filter_map(|node| node.facts.as_deref()?.pending).max();
        waiting.map_or_else(|| "no node tells what waits".to_owned(), |count| format!("{count} transactions wait"))
    }
}
