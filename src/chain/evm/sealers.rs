//! What a node tells of those who make blocks: who they are, who of them has made none for several turns, and in a Raft
//! cluster who is connected. Nodes are asked for this at a slow pace, so it is remembered, but not for long.
//!
//! That somebody made no block is only evidence where everybody has a turn. With a leader who stays for as long as it
//! works, all others would look absent; but then fewer made blocks than must have signed them, and nothing is said.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    members::{BesuPool, Cluster, MAX_MEMBERS, Makers, Members},
    variant::{REVIEW, ROLL_CALL, Tells, Variant},
};
use crate::{
    chain::{
        memory::Remembered,
        quantity::{Address, Quantity},
        reply::{Answer, Answers},
    },
    model::{FaultTolerance, Height, Timestamp},
    observation::{ABSENT, Facts, Finality, Seats},
};

/// Who has had so many turns and made no block takes no part.
const TURNS: u64 = 3;

const PER_MILLE: u64 = 1000;

/// What is remembered of those who make the blocks of a chain.
#[derive(Debug, Default)]
pub(super) struct Sealers {
    validators: Remembered<BTreeSet<Address>>,
    makers: Remembered<Makers>,
    cluster: Remembered<Cluster>,
}

impl Sealers {
    /// Reads the answers to the calls of the `variant` and adds to the `facts` what they tell.
    pub(super) fn tell(&mut self, variant: &Variant, now: Timestamp, answers: &Answers<'_>, facts: &mut Facts) {
        if variant.head_is_final {
            facts.finality =
                Finality::Known { height: facts.head.height, hash: facts.head.hash, time: facts.head.time };
        }
        let mut leaderless = false;
        for (position, extra) in variant.extras() {
            let answer = answers.get(position);
            match extra.tells {
                Tells::Validators => self.validators.keep(now, answer.read::<Members>().and_then(validators)),
                Tells::Makers => self.makers.keep(now, answer.read::<Makers>()),
                Tells::Cluster => self.cluster.keep(now, answer.read::<Cluster>()),
                Tells::Leader => leaderless = has_no_leader(answer),
                Tells::Pending => facts.pending = facts.pending.or(answer.read::<BesuPool>().map(BesuPool::waiting)),
                Tells::Justified => facts.safe = facts.safe.or(height(answer)),
                Tells::Finalized => facts.finality = or_final(facts.finality, answer),
            }
        }
        self.add_validators(variant.tolerance(), now, facts);
        if let Some(cluster) = self.cluster.at(now, ROLL_CALL) {
            add_cluster(cluster, leaderless, facts);
        }
    }

    fn add_validators(&self, tolerance: FaultTolerance, now: Timestamp, facts: &mut Facts) {
        let Some(validators) = self.validators.at(now, ROLL_CALL) else { return };
        facts.validators = Some(validators.len() as u64);
        let Some(absent) = self.makers.at(now, REVIEW).and_then(|makers| absent(validators, makers, tolerance)) else {
            return;
        };
        facts.participation = share(validators.len() - absent.len(), validators.len());
        facts.absent = absent.into_iter().take(ABSENT).map(|address| address.to_string().into()).collect();
    }
}

fn validators(members: Members) -> Option<BTreeSet<Address>> {
    let set: BTreeSet<Address> = members.0.into_iter().collect();
    (1..=MAX_MEMBERS).contains(&set.len()).then_some(set)
}

/// Who of the `validators` takes no part; `None` if the last blocks do not tell.
fn absent(validators: &BTreeSet<Address>, makers: &Makers, tolerance: FaultTolerance) -> Option<Vec<Address>> {
    let all = validators.len() as u64;
    let turns = all.saturating_mul(TURNS);
    if makers.blocks() < turns {
        return None;
    }
    let oldest = makers.newest().map(|newest| newest.saturating_sub(turns));
    let absent: Vec<Address> =
        validators.iter().copied().filter(|address| !makers.made_any(*address, oldest)).collect();
    let active = all.saturating_sub(absent.len() as u64);
    (all.saturating_sub(tolerance.tolerated(all)) <= active).then_some(absent)
}

/// Learners follow and have no vote. Without a leader there are fewer than are needed, whoever is connected.
fn add_cluster(cluster: &Cluster, leaderless: bool, facts: &mut Facts) {
    let voters = || cluster.0.iter().filter(|member| member.votes);
    let total = voters().count() as u64;
    if total == 0 {
        return;
    }
    let needed = total.saturating_sub(FaultTolerance::Majority.tolerated(total));
    let connected = voters().filter(|member| member.active).count() as u64;
    let live = if leaderless { connected.min(needed.saturating_sub(1)) } else { connected };
    facts.validators = Some(total);
    facts.seats = Some(Seats { total, needed, live });
    let absent = voters().filter(|member| !member.active).take(ABSENT);
    facts.absent = absent.map(|member| Arc::clone(&member.name)).collect();
}

fn share(part: usize, whole: usize) -> Option<u16> {
    u16::try_from((part as u64).saturating_mul(PER_MILLE).checked_div(whole as u64)?).ok()
}

/// `GoQuorum` answers `raft_leader` with an error while an election goes on or cannot be won.
fn has_no_leader(answer: &Answer<'_>) -> bool {
    matches!(answer, Answer::Error(error) if error.message.to_lowercase().contains("no leader"))
}

fn height(answer: &Answer<'_>) -> Option<Height> {
    answer.read::<Quantity>().map(|number| Height(number.0))
}

/// What the tag tells, else what the consensus engine says itself.
fn or_final(tagged: Finality, answer: &Answer<'_>) -> Finality {
    match (tagged, height(answer)) {
        (Finality::Unknown, Some(height)) => Finality::Known { height, hash: None, time: None },
        (tagged, _) => tagged,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;
    use crate::chain::reply::RpcError;

    fn address(n: usize) -> String {
        format!("{n:#042x}")
    }

    fn list(validators: usize) -> String {
        let items: Vec<String> = (1..=validators).map(|n| format!("\"{}\"", address(n))).collect();
        format!("[{}]", items.join(","))
    }

    /// The last hundred blocks before 1000 as Besu tells them: for each validator how many it made and how long ago the
    /// last one was.
    fn metrics(made: &[(u64, u64)]) -> String {
        let one = |(n, (blocks, ago)): (usize, &(u64, u64))| {
            let last = if *blocks == 0 { 0 } else { 1000 - ago };
            format!(
                r#"{{"address":"{}","proposedBlockCount":"{blocks:#x}","lastProposedBlockNumber":"{last:#x}"}}"#,
                address(n + 1)
            )
        };
        format!("[{}]", made.iter().enumerate().map(one).collect::<Vec<_>>().join(","))
    }

    fn activity(made: &[u64]) -> String {
        let one = |(n, blocks): (usize, &u64)| format!(r#""{}":{blocks}"#, address(n + 1));
        let made: Vec<String> = made.iter().enumerate().map(one).collect();
        format!(r#"{{"inturnPercent":50,"sealerActivity":{{{}}},"numBlocks":64}}"#, made.join(","))
    }

    /// What the nodes of a `variant` tell in a poll with these answers to its own calls; `None` for an error.
    fn told(sealers: &mut Sealers, variant: &str, seconds: i64, said: &[Option<&str>]) -> Facts {
        let variant = Variant::named(Some(variant));
        let raw: Vec<Option<Box<RawValue>>> =
            said.iter().map(|said| said.map(|json| RawValue::from_string(json.to_owned()).unwrap())).collect();
        let mut answers = Answers::default();
        for ((position, _), raw) in variant.extras().zip(&raw) {
            let refused = || RpcError { code: Some(-32000), message: "no leader is currently elected".to_owned() };
            answers.put(position, raw.as_deref().map_or_else(|| Answer::Error(refused()), Answer::Result));
        }
        let mut facts = Facts::at_height(Height(1000));
        sealers.tell(variant, Timestamp(seconds * 1000), &answers, &mut facts);
        facts
    }

    fn shown(facts: &Facts) -> String {
        let absent: Vec<&str> =
            facts.absent.iter().map(|name| name.trim_start_matches("0x").trim_start_matches('0')).collect();
        format!("{:?} {:?} {}", facts.validators, facts.participation, absent.join(","))
    }

    fn check(variant: &str, validators: usize, makers: &str, wanted: &str) {
        let list = list(validators);
        let facts = told(&mut Sealers::default(), variant, 0, &[Some(&list), Some(makers)]);
        assert_eq!(shown(&facts), wanted, "{variant} of {validators}: {makers}");
    }

    #[test]
    fn who_has_let_three_turns_pass_takes_no_part() {
        check("qbft", 4, &metrics(&[(25, 1), (25, 2), (25, 3), (25, 4)]), "Some(4) Some(1000) ");
        check("qbft", 4, &metrics(&[(25, 1), (25, 2), (25, 3), (25, 12)]), "Some(4) Some(1000) ");
        check("qbft", 4, &metrics(&[(28, 1), (28, 2), (28, 3), (16, 14)]), "Some(4) Some(750) 4");
        check("ibft2", 4, &metrics(&[(34, 1), (33, 2), (33, 3), (0, 0)]), "Some(4) Some(750) 4");
        check("clique", 3, &activity(&[32, 32, 0]), "Some(3) Some(666) 3");
        check("istanbul", 4, &activity(&[22, 21, 21]), "Some(4) Some(750) 4");
    }

    #[test]
    fn blocks_that_cannot_tell_who_takes_part_tell_nothing() {
        // One leader for as long as it works: the others must have signed.
        check("istanbul", 4, &activity(&[64, 0, 0, 0]), "Some(4) None ");
        // Two of four cannot have made blocks.
        check("qbft", 4, &metrics(&[(50, 1), (50, 2), (0, 0), (0, 0)]), "Some(4) None ");
        // Not everybody had three turns in a hundred blocks.
        let many: Vec<(u64, u64)> = (1..=40).map(|n| (u64::from(n <= 30) * 3, n)).collect();
        check("qbft", 40, &metrics(&many), "Some(40) None ");
        check("clique", 3, &activity(&[3, 3, 0]), "Some(3) None ");
        check("qbft", 4, "null", "Some(4) None ");
        check("qbft", 0, &metrics(&[(100, 1)]), "None None ");
    }

    #[test]
    fn at_most_eight_of_the_absent_are_named() {
        let made: Vec<u64> = (0..30).map(|n| if n < 20 { 5 } else { 0 }).collect();
        let facts = told(&mut Sealers::default(), "istanbul", 0, &[Some(&list(30)), Some(&activity(&made))]);
        assert_eq!((facts.absent.len(), facts.participation), (ABSENT, Some(666)));
    }

    #[test]
    fn what_is_not_told_again_is_forgotten_after_three_paces() {
        let mut sealers = Sealers::default();
        let (list, makers) = (list(4), metrics(&[(25, 1), (25, 2), (25, 3), (25, 4)]));
        told(&mut sealers, "qbft", 0, &[Some(&list), Some(&makers)]);
        assert_eq!(shown(&told(&mut sealers, "qbft", 180, &[])), "Some(4) Some(1000) ");
        assert_eq!(shown(&told(&mut sealers, "qbft", 181, &[None, None])), "None None ");
    }

    #[test]
    fn a_cluster_counts_who_votes_and_without_a_leader_too_few() {
        let peer = |n: u32, role: &str, active: bool| {
            format!(r#"{{"raftId":{n},"role":"{role}","nodeActive":{active},"raftPort":50401}}"#)
        };
        let cluster = |active: [bool; 3]| {
            let voters = [1, 2, 3].map(|n| peer(n, if n == 1 { "minter" } else { "verifier" }, active[n as usize - 1]));
            format!("[{},{}]", voters.join(","), peer(4, "learner", true))
        };
        let seats = |active, leader: Option<&str>| {
            let facts = told(&mut Sealers::default(), "raft", 0, &[Some(&cluster(active)), leader]);
            let seats = facts.seats.unwrap();
            (seats.total, seats.needed, seats.live, facts.absent.join(","))
        };
        let leader = Some("\"ab\"");
        assert_eq!(seats([true; 3], leader), (3, 2, 3, String::new()));
        assert_eq!(seats([true, false, true], leader), (3, 2, 2, "2".to_owned()));
        assert_eq!(seats([true; 3], None), (3, 2, 1, String::new()), "nobody was elected, whoever is connected");
        let facts = told(&mut Sealers::default(), "raft", 0, &[None, None]);
        assert_eq!((facts.seats, facts.validators), (None, None));
    }

    #[test]
    fn a_chain_without_forks_has_a_final_head_and_parlia_tells_what_no_tag_told() {
        let facts = |variant, said: &[Option<&str>]| told(&mut Sealers::default(), variant, 0, said);
        for variant in ["qbft", "ibft2", "istanbul", "raft", "avalanche"] {
            assert_eq!(facts(variant, &[]).finality.height(), Some(Height(1000)), "{variant}");
        }
        for variant in ["op", "arbitrum", "bor", "clique"] {
            assert_eq!(facts(variant, &[]).finality, Finality::Unknown, "{variant}");
        }
        let bsc = facts("bsc", &[Some(&list(21)), Some("999"), Some("998")]);
        assert_eq!((bsc.validators, bsc.safe, bsc.finality.height()), (Some(21), Some(Height(999)), Some(Height(998))));
    }

    #[test]
    fn the_pool_of_besu_is_the_sum_of_its_parts() {
        let pool = r#"{"maxSize":4096,"localCount":2,"remoteCount":3}"#;
        assert_eq!(told(&mut Sealers::default(), "qbft", 0, &[None, None, Some(pool)]).pending, Some(5));
    }

    fn hostile() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            any::<u64>().prop_map(|n| n.to_string()),
            any::<i64>().prop_map(|n| n.to_string()),
            Just("1e300".to_owned()),
            Just("null".to_owned()),
            Just(format!("\"{}\"", address(1))),
            Just(format!("\"{:#x}\"", u64::MAX)),
            Just(activity(&[u64::MAX, u64::MAX])),
            Just(metrics(&[(u64::MAX, 0), (1, 999)])),
            Just(format!("{}{}", "[".repeat(120), "]".repeat(120))),
        ];
        let key = prop_oneof!["signer", "sealerActivity", "address", "raftId", "nodeActive", "localCount"];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
                (key.clone(), inner).prop_map(|(key, value)| format!(r#"{{"{key}":{value}}}"#)),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(said in prop::collection::vec(hostile(), 4)) {
            for variant in ["bsc", "bor", "qbft", "istanbul", "raft", "clique"] {
                let said: Vec<Option<&str>> = said.iter().map(|json| Some(json.as_str())).collect();
                let facts = told(&mut Sealers::default(), variant, 0, &said);
                prop_assert!(facts.absent.len() <= ABSENT && facts.participation.is_none_or(|share| share <= 1000));
            }
        }
    }
}
