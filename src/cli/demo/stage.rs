//! The stage of the demo: three simulated networks that differ in all that matters to a monitor, and the configuration
//! with which they are watched. Thresholds are short, so that the whole story fits into two minutes.

use std::{fmt::Write as _, time::Duration};

use crate::sim::{Cadence, Member, Plan, Quorum, Script, Tongue, World};

/// Position of the network that halts.
pub const CONSORTIUM: usize = 0;

/// Position in the consortium of the validator that stops first.
pub const FIRST_TO_STOP: usize = 3;

/// Position in the consortium of the validator that stops second.
pub const SECOND_TO_STOP: usize = 2;

/// How old the networks are when the curtain rises.
const HISTORY: Duration = Duration::from_secs(3600);

/// A simulated network and how it is watched.
struct Stand {
    plan: Plan,
    /// Role of each member.
    roles: Vec<&'static str>,
    /// Keys of its `[[network]]` table.
    keys: &'static str,
}

/// What is on stage: by default the three networks of the demo.
pub struct Stage {
    stands: Vec<Stand>,
}

impl Stage {
    /// The three networks of the demo, whose nodes speak this language.
    #[must_use]
    pub fn of(tongue: Tongue) -> Self {
        Self { stands: vec![consortium(tongue), slots(tongue), orders(tongue)] }
    }

    /// The simulated world; nothing happens in it but blocks.
    #[must_use]
    pub fn world(&self) -> World {
        let plans = self.stands.iter().map(|stand| stand.plan.clone()).collect();
        World::open(plans, Script::default(), HISTORY)
    }

    /// The configuration that watches the networks at `urls`, as a user would write it.
    #[must_use]
    pub fn config(&self, urls: &[Vec<String>]) -> String {
        let mut text = String::from(HEADER);
        for (stand, urls) in self.stands.iter().zip(urls) {
            text += &network(&stand.plan);
            text += stand.keys;
            for ((member, role), url) in stand.plan.members.iter().zip(&stand.roles).zip(urls) {
                let name = &member.name;
                let _ = write!(text, "\n[[network.node]]\nname = \"{name}\"\nrole = \"{role}\"\nurl = \"{url}\"\n");
            }
        }
        text
    }
}

/// The beginning of a `[[network]]`. Only the chain ids of one family are numbers that a plan knows.
fn network(plan: &Plan) -> String {
    let (name, family) = (&plan.name, plan.tongue.family());
    let chain_id = if plan.tongue == Tongue::Evm { format!("chain_id = {}\n", plan.chain_id) } else { String::new() };
    let group = plan.tongue.group().map(|group| format!("group = \"{group}\"\n")).unwrap_or_default();
    format!("\n[[network]]\nname = \"{name}\"\nfamily = \"{family}\"\n{chain_id}{group}")
}

const HEADER: &str = r#"# The configuration of the demo.
[monitor]
name = "demo"

[defaults]
interval = "1s"
timeout = "1s"
offline_after = "5s"
min_peers = 0
flap_window = "10s"
"#;

/// Four validators, one may be lost.
fn consortium(tongue: Tongue) -> Stand {
    let plan = Plan {
        tongue,
        name: "consortium".to_owned(),
        chain_id: 20_260,
        seed: 1,
        cadence: Cadence::Interval(Duration::from_secs(1)),
        quorum: Quorum::Bft,
        finality_lag: 0,
        outside_peers: 0,
        members: members(&["v1", "v2", "v3", "v4"], 4),
    };
    let keys = "cadence = \"interval\"\nblock_time = \"1s\"\ntolerance = \"bft\"\nmissing_blocks = 10\nhalt_floor = \"10s\"\n\
                unreachable_after = \"15s\"\nrecovery_blocks = 5\n";
    Stand { plan, roles: vec!["validator"; 4], keys }
}

/// A public chain of twelve-second slots, seen through three RPC nodes.
fn slots(tongue: Tongue) -> Stand {
    let plan = Plan {
        tongue,
        name: "slots".to_owned(),
        chain_id: 20_261,
        seed: 2,
        cadence: Cadence::Slots { every: Duration::from_secs(12), missed_per_mille: 50 },
        quorum: Quorum::Bft,
        finality_lag: 64,
        outside_peers: 25,
        members: members(&["rpc-1", "rpc-2", "rpc-3"], 0),
    };
    let keys = "cadence = \"interval\"\nblock_time = \"12s\"\nhalt_floor = \"1m\"\n";
    Stand { plan, roles: vec!["rpc"; 3], keys }
}

/// An idle chain that makes a block only when somebody orders something.
fn orders(tongue: Tongue) -> Stand {
    let plan = Plan {
        tongue,
        name: "orders".to_owned(),
        chain_id: 20_262,
        seed: 3,
        cadence: Cadence::OnDemand {
            seal_after: Duration::from_millis(500),
            work_every: Some(Duration::from_secs(25)),
        },
        quorum: Quorum::Majority,
        finality_lag: 0,
        outside_peers: 0,
        members: members(&["sealer-1", "sealer-2", "observer"], 2),
    };
    let keys = "cadence = \"on_demand\"\ntolerance = \"majority\"\nhalt_floor = \"10s\"\n";
    Stand { plan, roles: vec!["sealer", "sealer", "observer"], keys }
}

/// Members of these names, of which the first `voters` vote.
fn members(names: &[&str], voters: usize) -> Vec<Member> {
    names.iter().enumerate().map(|(n, name)| Member { name: (*name).to_owned(), votes: n < voters }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_what_a_user_would_write() {
        let urls = vec![vec!["http://127.0.0.1:1".to_owned()]; 3];
        expect_test::expect_file!["../../../tests/data/demo/config.toml"]
            .assert_eq(&Stage::of(Tongue::Evm).config(&urls));
    }
}
