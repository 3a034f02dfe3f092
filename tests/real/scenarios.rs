//! What must be seen, one function each, named as a sentence.

mod api;
mod bitcoin;
mod clients;
mod cometbft;
mod components;
mod consensus;
mod dashboards;
mod discovery;
mod halt;
mod health;
mod isolation;
mod monero;
mod nodes;
mod probe;
mod reload;
mod routing;
mod running;
mod scrape;
mod soak;
mod substrate;
mod troubles;
mod web;
mod websocket;

use std::time::Duration;

use anyhow::Result;

use crate::{
    alertmanager::Alertmanager, bench::Bench, chopsticks::Chopsticks, clients::Client, haltwatch::Node, harness::wait,
    injective::Injective, install::Installer, lodestar, monerod::Monerod,
};

/// The name of the network of validators.
const CHAIN: &str = "injective";

/// The name of the network of synthetic nodes, and its chain id.
const DEVNET: &str = "devnet";
const DEVNET_CHAIN_ID: u64 = 31_337;

/// One scenario: it returns what it measured, or why it failed.
#[derive(Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub run: Run,
    /// Not part of the whole: runs only when its name is given.
    pub on_request: bool,
    /// Gets what only this one needs, or finds it there.
    pub install: fn(&Installer<'_>) -> Result<()>,
}

/// What a scenario needs.
#[derive(Debug, Clone, Copy)]
pub enum Run {
    /// Only what it starts itself.
    Alone(fn(&Bench) -> Result<String>),
    /// The four validators, all of them up.
    WithValidators(fn(&Bench, &mut Injective) -> Result<String>),
}

/// A scenario named after its function. One that installs something runs on request only.
macro_rules! scenario {
    ($need:ident, $room:ident, $name:ident, on_request: $on_request:literal, install: $install:expr) => {
        Scenario {
            name: stringify!($name),
            run: Run::$need($room::$name),
            on_request: $on_request,
            install: $install,
        }
    };
    ($need:ident, $room:ident, $name:ident, on_request: $on_request:literal) => {
        scenario!($need, $room, $name, on_request: $on_request, install: |_| Ok(()))
    };
    ($need:ident, $room:ident, $name:ident, install: $install:expr) => {
        scenario!($need, $room, $name, on_request: true, install: $install)
    };
    ($need:ident, $room:ident, $name:ident) => {
        scenario!($need, $room, $name, on_request: false)
    };
}

/// Every scenario, in the order in which they run.
pub const ALL: &[Scenario] = &[
    scenario!(WithValidators, components, the_instruments_work, on_request: true),
    scenario!(Alone, components, the_synthetic_instruments_work, on_request: true),
    scenario!(WithValidators, health, every_exported_value_equals_what_the_node_answers),
    scenario!(WithValidators, halt, a_loss_of_quorum_is_found_in_time_and_resolves),
    scenario!(WithValidators, halt, frozen_validators_are_a_halt_although_their_peers_look_fine),
    scenario!(WithValidators, halt, a_halt_older_than_the_monitor_is_found_at_once),
    scenario!(WithValidators, halt, a_monitor_that_is_killed_in_a_halt_comes_back_to_the_same_incident),
    scenario!(WithValidators, cometbft, consensus_engines_are_watched_through_their_troubles),
    scenario!(Alone, cometbft, a_late_node_and_a_double_sign_are_told, on_request: true),
    scenario!(WithValidators, nodes, one_stopped_validator_is_its_own_trouble_only),
    scenario!(WithValidators, nodes, a_node_of_another_chain_is_quarantined_and_moves_nothing),
    scenario!(Alone, nodes, bad_manners_stay_with_the_node_that_has_them),
    scenario!(Alone, isolation, a_cut_off_monitor_accuses_nobody_but_itself),
    scenario!(Alone, troubles, each_trouble_of_a_chain_has_its_own_name),
    scenario!(Alone, clients, every_kind_of_evm_node_is_read_as_it_means_it, install: Client::install),
    scenario!(Alone, bitcoin, a_proof_of_work_chain_is_watched_through_its_troubles),
    scenario!(
        Alone,
        substrate,
        a_substrate_chain_is_read_as_it_means_it_and_its_halt_is_found,
        install: Chopsticks::install
    ),
    scenario!(
        Alone,
        consensus,
        a_consensus_layer_loses_finality_and_halts_while_its_health_is_fine,
        install: lodestar::install
    ),
    scenario!(Alone, consensus, two_halves_of_a_consensus_layer_come_together_again, install: lodestar::install),
    scenario!(Alone, monero, monero_is_watched_and_its_halt_is_found, install: Monerod::install),
    scenario!(Alone, websocket, a_lost_subscription_is_noticed_and_made_again),
    scenario!(Alone, scrape, a_real_prometheus_takes_every_scrape_without_complaint),
    scenario!(Alone, reload, a_storm_of_hangups_disturbs_nothing),
    scenario!(Alone, discovery, nodes_come_and_go_with_the_lists_that_name_them),
    scenario!(Alone, discovery, a_real_prometheus_scrapes_the_targets_we_list),
    scenario!(Alone, web, a_real_prometheus_scrapes_with_tls_and_a_password),
    scenario!(Alone, web, health_is_told_at_once_under_abuse),
    scenario!(Alone, web, sockets_of_systemd_keep_the_port_over_restarts),
    scenario!(WithValidators, probe, a_probe_tells_what_the_node_itself_says),
    scenario!(Alone, probe, a_real_prometheus_probes_through_relabelling),
    scenario!(Alone, probe, a_configuration_is_checked_against_what_answers),
    scenario!(Alone, routing, a_halt_reaches_everybody_who_is_to_be_woken),
    scenario!(Alone, routing, the_shipped_example_mutes_what_haltwatch_mutes),
    scenario!(Alone, dashboards, every_panel_of_every_dashboard_shows_something),
    scenario!(Alone, soak, two_days_of_polls_that_nobody_scrapes_do_not_make_it_grow, on_request: true),
    scenario!(Alone, running, it_ends_politely_when_asked_to),
    scenario!(Alone, running, a_wrong_configuration_is_refused_with_its_position),
];

/// The four validators as the configuration names them: `v0` to `v3`.
fn validators(network: &Injective) -> Vec<Node<'static>> {
    ["v0", "v1", "v2", "v3"].into_iter().enumerate().map(|(i, name)| Node::validator(name, network.evm(i))).collect()
}

/// Waits until Alertmanager shows the dead man's switch and nothing else.
fn only_watchdog(alertmanager: &Alertmanager, limit: Duration) -> Result<()> {
    wait::eventually("Alertmanager shows the Watchdog and nothing else", limit, || {
        let names: Vec<_> = alertmanager.alerts()?.iter().map(|alert| alert.label("alertname").to_owned()).collect();
        anyhow::ensure!(names == ["Watchdog"], "it shows {names:?}");
        Ok(Some(()))
    })
}
