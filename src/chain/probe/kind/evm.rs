//! Variants of the EVM family. Well-known chains are known by their ids, some clients serve one kind of chain only; of
//! any other chain the head block, its first transaction and the answers to the questions after its validators tell.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Verdict;
use crate::{
    chain::{adapter::Call, quantity::Count, reply::Answers},
    observation::Facts,
};

/// Chains whose variant everybody knows; `None` for those without peculiarities, of which nothing more needs to be asked.
const CHAINS: &[(&str, Option<&str>)] = &[
    ("1", None),
    ("10", Some("op")),
    ("56", Some("bsc")),
    ("61", None),
    ("97", Some("bsc")),
    ("100", None),
    ("137", Some("bor")),
    ("204", Some("op")),
    ("8453", Some("op")),
    ("17000", None),
    ("42161", Some("arbitrum")),
    ("42170", Some("arbitrum")),
    ("43113", Some("avalanche")),
    ("43114", Some("avalanche")),
    ("80002", Some("bor")),
    ("84532", Some("op")),
    ("421614", Some("arbitrum")),
    ("560048", None),
    ("11155111", None),
    ("11155420", Some("op")),
];

/// Clients that make one kind of chain only. Those without a variant simulate a chain, whatever id they were given.
const CLIENTS: &[(&str, Option<&str>)] = &[
    ("bor", Some("bor")),
    ("nitro", Some("arbitrum")),
    ("anvil", None),
    ("ethereumjs testrpc", None),
    ("ganache", None),
    ("hardhatnetwork", None),
];

/// How the web3 port of FISCO BCOS 3 names itself (`Web3Endpoint.cpp`): it makes no empty blocks.
const FISCO_BCOS: &str = "fisco-bcos-web3rpc";

const BLOCK: usize = 0;
const TRANSACTION: usize = 1;

/// Where the questions after the validators begin.
const VALIDATORS: usize = 2;

/// What to ask of a chain that nobody knows.
pub(super) static TRIAL: [Call; 8] = [
    Call::rpc("eth_getBlockByNumber", r#"["latest",false]"#),
    Call::rpc("eth_getTransactionByBlockNumberAndIndex", r#"["latest","0x0"]"#),
    Call::rpc("qbft_getValidatorsByBlockNumber", r#"["latest"]"#),
    Call::rpc("ibft_getValidatorsByBlockNumber", r#"["latest"]"#),
    Call::rpc("istanbul_getValidators", r#"["latest"]"#),
    Call::rpc("raft_cluster", "[]"),
    Call::rpc("parlia_getValidators", r#"["latest"]"#),
    Call::rpc("clique_getSigners", r#"["latest"]"#),
];

/// What a list of validators in answer to the last of these proves.
const BY_VALIDATORS: [&str; 6] = ["qbft", "ibft2", "istanbul", "raft", "bsc", "clique"];

/// Types of transactions with which every block of a rollup begins: deposits of the OP stack (`deposits.md` of its
/// specification), internal ones of Arbitrum (`arb_types.go`).
const BY_FIRST_TRANSACTION: [(&str, &str); 2] = [("0x7e", "op"), ("0x6a", "arbitrum")];

/// What chain and client are known for.
pub(super) fn told(facts: &Facts) -> Verdict {
    let client = client(facts.version.as_deref().unwrap_or_default());
    let id = facts.chain_id.as_deref().unwrap_or_default();
    let known = |table: &[(&str, Option<&'static str>)], word: &str| {
        table.iter().find(|(known, _)| *known == word).map(|(_, variant)| variant.map_or(Verdict::Plain, Verdict::Is))
    };
    let of_client = if client == FISCO_BCOS { Some(Verdict::Plain) } else { known(CLIENTS, &client) };
    of_client.or_else(|| known(CHAINS, id)).unwrap_or(Verdict::Open)
}

/// Whether a client with this name makes blocks only when there is work, on any chain of its own.
pub(super) fn seals_on_demand(version: &str) -> bool {
    client(version) == FISCO_BCOS
}

/// `geth` of `Geth/v1.17.5-stable/linux-amd64/go1.25`.
fn client(version: &str) -> String {
    version.split('/').next().unwrap_or_default().trim().to_lowercase()
}

/// What the answers to the questions of the trial prove.
pub(super) fn judge(answers: &Answers<'_>) -> Option<&'static str> {
    let block = answers.get(BLOCK).read::<Block<'_>>().unwrap_or_default();
    if block.is_of_arbitrum() {
        return Some("arbitrum");
    }
    let kind = answers.get(TRANSACTION).read::<Transaction<'_>>().and_then(|transaction| transaction.kind);
    let rollup = BY_FIRST_TRANSACTION.iter().find(|(known, _)| Some(*known) == kind.as_deref());
    if let Some((_, variant)) = rollup {
        return Some(variant);
    }
    // Since its merge such a chain has other validators, but its nodes go on listing the old ones.
    let has_merged = block.difficulty.is_some_and(|difficulty| difficulty.get() == r#""0x0""#);
    let lists = |position: usize| answers.get(position).read::<Count>().is_some_and(|count| 0 < count.0);
    let mut answered = BY_VALIDATORS.iter().enumerate().filter(|(offset, _)| lists(VALIDATORS + offset));
    answered.next().map(|(_, variant)| *variant).filter(|_| !has_merged)
}

/// What of a block tells whose it is.
#[derive(Debug, Default, Deserialize)]
struct Block<'a> {
    /// Zero since the merge.
    #[serde(default, borrow)]
    difficulty: Option<&'a RawValue>,
    /// Two fields that only Nitro adds.
    #[serde(default, borrow, rename = "l1BlockNumber")]
    layer_below: Option<&'a RawValue>,
    #[serde(default, borrow, rename = "sendRoot")]
    sent: Option<&'a RawValue>,
}

impl Block<'_> {
    fn is_of_arbitrum(&self) -> bool {
        self.layer_below.is_some() && self.sent.is_some()
    }
}

#[derive(Debug, Deserialize)]
struct Transaction<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

/// Every variant that may be the outcome.
#[cfg(test)]
pub(super) fn variants() -> impl Iterator<Item = &'static str> {
    let tables = CHAINS.iter().chain(CLIENTS).filter_map(|(_, variant)| *variant);
    tables.chain(BY_VALIDATORS).chain(BY_FIRST_TRANSACTION.map(|(_, variant)| variant))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json, value::to_raw_value};

    use super::*;
    use crate::{chain::reply::Answer, model::Height};

    #[test]
    fn chains_and_clients_that_everybody_knows_need_no_questions() {
        let facts = |id: &str, version: &str| Facts {
            chain_id: Some(id.into()),
            version: Some(version.into()),
            ..Facts::at_height(Height(1))
        };
        for (id, version, wanted) in [
            ("1", "Geth/v1.17.5-stable/linux-amd64/go1.25", Verdict::Plain),
            ("56", "Geth/v1.5.17-stable/linux-amd64/go1.24", Verdict::Is("bsc")),
            ("56", "anvil/v1.7.1", Verdict::Plain),
            ("137", "erigon/2.60.10/linux-amd64/go1.22", Verdict::Is("bor")),
            ("4242", "bor/v2.2.9/linux-amd64/go1.24", Verdict::Is("bor")),
            ("4242", "nitro/v3.6.5/linux-amd64/go1.24", Verdict::Is("arbitrum")),
            ("20200", "FISCO-BCOS-Web3RPC/3.16.2-Release/Linux/g++", Verdict::Plain),
            ("1337", "besu/v25.11.0/linux-x86_64/openjdk-java-21", Verdict::Open),
            ("1776", "1.6.0", Verdict::Open),
        ] {
            assert_eq!(told(&facts(id, version)), wanted, "{id} {version}");
        }
        assert!(seals_on_demand("FISCO-BCOS-Web3RPC/3.16.2-Release/Linux/g++") && !seals_on_demand("Geth/v1.17.5"));
    }

    fn judged(told: &[(usize, Value)]) -> Option<&'static str> {
        let raws: Vec<_> = told.iter().map(|(position, value)| (*position, to_raw_value(value).unwrap())).collect();
        let mut answers = Answers::default();
        for (position, raw) in &raws {
            answers.put(*position, Answer::Result(raw));
        }
        judge(&answers)
    }

    #[test]
    fn an_unknown_chain_is_known_by_its_blocks_or_by_who_makes_them() {
        let block = |difficulty: &str| (BLOCK, json!({"number": "0x1", "difficulty": difficulty}));
        let first = |kind: &str| (TRANSACTION, json!({"type": kind}));
        let list = |offset: usize| (VALIDATORS + offset, json!(["0x01"]));
        for (told, wanted) in [
            (vec![block("0x0"), first("0x2")], None),
            (vec![block("0x0"), first("0x7e")], Some("op")),
            (vec![(BLOCK, json!({"difficulty": "0x1", "l1BlockNumber": "0x7", "sendRoot": "0x1"}))], Some("arbitrum")),
            (vec![block("0x1"), first("0x6a")], Some("arbitrum")),
            (vec![block("0x1"), list(0)], Some("qbft")),
            (vec![block("0x1"), list(1)], Some("ibft2")),
            (vec![block("0x1"), list(2)], Some("istanbul")),
            (vec![block("0x20000"), list(3)], Some("raft")),
            (vec![block("0x2"), list(4)], Some("bsc")),
            (vec![block("0x2"), list(5)], Some("clique")),
            (vec![block("0x0"), list(5)], None),
            (vec![block("0x2"), (VALIDATORS, json!([])), (VALIDATORS + 5, json!("0x01"))], None),
            (vec![(BLOCK, json!(7)), (TRANSACTION, json!(null))], None),
            (vec![], None),
        ] {
            assert_eq!(judged(&told), wanted, "{told:?}");
        }
    }
}
