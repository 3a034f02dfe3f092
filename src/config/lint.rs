//! What is dangerous about a configuration that can be used. Each judgement is a function that looks at the survey and
//! warns at a place; none refuses anything, since each has a setup in which it is wrong.

mod declared;
mod halts;
mod nodes;
mod outside;

use super::survey::Survey;
use crate::clock::Clock;

/// Warns of whatever is dangerous.
pub(super) fn judge(survey: &Survey<'_>) {
    outside::canaries(survey);
    outside::server(&survey.web);
    outside::alertmanagers(survey);
    nodes::in_two_networks(&survey.networks);
    for network in &survey.networks {
        nodes::spellings(network);
        nodes::identity_of_chain(network);
        halts::threshold(network);
        halts::polls(network);
        halts::work(network);
        halts::requests(network);
        halts::timeouts(network);
        declared::pace(network);
        declared::branches(network);
        declared::plans(network, Clock.now().wall);
    }
    // Nodes that will be found can be of any number, role and weight.
    for network in survey.networks.iter().filter(|_| !survey.finds_nodes) {
        nodes::witnesses(network);
        halts::losses(network);
        declared::core_total(network);
        halts::without_effect(network);
    }
    halts::dependencies(&survey.networks);
}
