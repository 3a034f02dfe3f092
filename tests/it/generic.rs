//! Chains that only a configuration knows: the examples of docs/chains/generic.md, read as a user would copy them, over
//! the recorded answers of real nodes, beside what the adapter of the family itself makes of the same answers.

use std::{cell::RefCell, fs, path::PathBuf};

use bytes::Bytes;
use expect_test::{Expect, expect};
use haltwatch::{
    chain::{Family, Particulars, adapter::Question, rehearsal::Rehearsal},
    config::{self, Source},
    model::{Height, Timestamp},
    observation::{ErrorKind, Facts, Finality, PollError, Syncing},
};
use serde_json::{Value, json};

use crate::{
    poller::{Watch, nodes, target},
    scripted_node::{ScriptedNode, healthy},
};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The particulars of the network whose example stands under a heading of the document.
fn example(heading: &str) -> Particulars {
    let document = fs::read_to_string(path("docs/chains/generic.md")).unwrap();
    let (_, rest) = document.split_once(&format!("\n### {heading}\n")).unwrap();
    let (_, rest) = rest.split_once("```toml\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let node = "[[network.node]]\nname = \"n\"\nurl = \"http://127.0.0.1:1\"\n";
    let text = if text.contains("[[network.node]]") { text.to_owned() } else { format!("{text}{node}") };
    of_config(&text)
}

fn of_config(text: &str) -> Particulars {
    let config = config::load(&Source::Text(text.to_owned())).unwrap_or_else(|problems| panic!("{problems}"));
    config.chain.nodes[0].particulars.clone()
}

fn recorded(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(path("tests/data").join(name).with_extension("json")).unwrap()).unwrap()
}

/// Says what the recorded node said; `key` names the answer to a question.
fn speak(recorded: &Value, question: &Question, id: usize) -> (u16, Bytes) {
    match question {
        Question::Get { path } => match recorded.get(format!("GET {path}")) {
            Some(body) => (200, body.to_string().into()),
            None => (404, "{}".into()),
        },
        Question::Rpc { method, params } => {
            let params: Value = serde_json::from_str(params).unwrap();
            let tagged = params[0].as_str().map(|tag| format!("{method} {tag}"));
            let answer = tagged.and_then(|key| recorded.get(key)).or_else(|| recorded.get(&**method));
            let refused = json!({"error": {"code": -32601, "message": "Method not found"}});
            let mut answer = answer.cloned().unwrap_or(refused);
            answer["id"] = json!(id);
            (200, answer.to_string().into())
        }
    }
}

fn poll(family: Family, particulars: &Particulars, recorded: &Value) -> Result<Facts, PollError> {
    Rehearsal::new(family, particulars).poll(Timestamp(0), |question, id| speak(recorded, question, id))
}

fn summary(read: Result<Facts, PollError>) -> String {
    let Facts {
        chain_id, genesis, version, head, safe, finality, syncing, peers, pending, heartbeat, identity, ..
    } = match read {
        Ok(facts) => facts,
        Err(error) => return format!("{} {}", error.kind.as_str(), error.detail),
    };
    let short = |hash: haltwatch::model::BlockHash| hash.to_string()[..10].to_owned();
    format!(
        "{} {:?} {:?} at {:?}, {:?} txs, safe {:?}, {finality:?}, {syncing:?}, peers {peers:?}, pending {pending:?}, \
         chain {chain_id:?} {:?}, {version:?}, heartbeat {heartbeat:?}, identity {identity:?}",
        head.height,
        head.hash.map(short),
        head.parent.map(short),
        head.time.map(|time| time.to_string()),
        head.transactions,
        safe.map(|safe| safe.0),
        genesis.map(short),
    )
}

#[test]
fn an_execution_client_is_read_as_its_own_adapter_reads_it() {
    let particulars = example("EVM");
    for name in ["anvil", "injective", "injective_syncing", "injective_height_0", "ethjs", "hardhat", "ganache"] {
        let recorded = recorded(&format!("evm/{name}"));
        let own = poll(Family::Evm, &Particulars::default(), &recorded);
        let generic = poll(Family::Generic, &particulars, &recorded);
        match own {
            Ok(_) => assert_eq!(summary(generic), summary(own), "{name}"),
            Err(own) => assert_eq!(generic.unwrap_err().kind, own.kind, "{name}"),
        }
    }
}

#[track_caller]
fn check(heading: &str, name: &str, wanted: &Expect) {
    wanted.assert_eq(&summary(poll(Family::Generic, &example(heading), &recorded(&format!("generic/{name}")))));
}

#[test]
fn nodes_of_other_families_are_read_by_a_configuration_alone() {
    check(
        "CometBFT",
        "cometbft",
        &expect![[
            r#"38 Some("0x70d77400") None at Some("2026-11-21T19:37:43.403Z"), None txs, safe None, Unknown, No, peers Some(3), pending None, chain Some("injective-777") None, Some("1.0.1"), heartbeat None, identity Some("cb44de1e736974929fd6e943e5b3b5590ee57112")"#
        ]],
    );
    check(
        "CometBFT",
        "cometbft_syncing",
        &expect![[
            r#"50 Some("0x48fcfad4") None at Some("2026-11-21T19:37:56.046Z"), None txs, safe None, Unknown, Yes { behind: None }, peers Some(3), pending None, chain Some("injective-777") None, Some("1.0.1"), heartbeat None, identity Some("7aa872bc6842b03dc3a837584990421741fdf44a")"#
        ]],
    );
    check("CometBFT", "cometbft_height_0", &expect![[r#"starting /result/sync_info/latest_block_height is "0""#]]);
    check(
        "Bitcoin",
        "bitcoin",
        &expect![[
            r#"13 Some("0x52689309") None at None, None txs, safe None, Unknown, No, peers Some(1), pending Some(0), chain Some("regtest") None, Some("/Bitcoin SV:1.0.13/"), heartbeat None, identity None"#
        ]],
    );
    check("Bitcoin", "bitcoin_warming_up", &expect!["starting -28 Loading wallet..."]);
    check(
        "Monero",
        "monero",
        &expect![[
            r#"10 Some("0xfb76ac97") None at None, None txs, safe None, Unknown, No, peers Some(1), pending Some(0), chain Some("fakechain") None, Some("0.18.0.0-unknown"), heartbeat None, identity None"#
        ]],
    );
    check(
        "Substrate",
        "substrate",
        &expect![[
            r#"4 None Some("0xcf52f097") at None, None txs, safe None, Unknown, No, peers Some(0), pending Some(0), chain Some("asset-hub-rococo") None, Some("chopsticks-v1"), heartbeat None, identity None"#
        ]],
    );
    check(
        "FISCO BCOS 3",
        "fisco-bcos-3",
        &expect![[
            r#"7 Some("0xeeeeeeee") None at None, None txs, safe None, Unknown, No, peers None, pending Some(0), chain None Some("0x47474747"), None, heartbeat Some(3), identity None"#
        ]],
    );
}

/// A family that has an adapter of its own says the same of the newest block.
#[test]
fn the_head_is_that_of_the_familys_own_adapter() {
    for (heading, name, family) in [("CometBFT", "cometbft", Family::CometBft), ("Bitcoin", "bitcoin", Family::Bitcoin)]
    {
        let recorded = recorded(&format!("generic/{name}"));
        let Ok(own) = poll(family, &Particulars::default(), &recorded) else { continue };
        let generic = poll(Family::Generic, &example(heading), &recorded).unwrap();
        assert_eq!((generic.head.height, generic.head.hash), (own.head.height, own.head.hash), "{heading}");
    }
}

const PACED: &str = r#"
[[network]]
name = "n"
family = "generic"
[[network.call]]
method = "head"
height = "/"
chain_id = "/"
[[network.call]]
method = "peers"
every = "1m"
peers = "/"
[[network.node]]
name = "n"
url = "http://127.0.0.1:1"
"#;

/// What `peers` says at each poll, given as the second, whether the node tells its peers, and its chain.
fn peers_over(polls: &[(i64, bool)]) -> Vec<(Option<u64>, usize)> {
    let config = PACED.replace("chain_id = \"/\"\n", "");
    let mut rehearsal = Rehearsal::new(Family::Generic, &of_config(&config));
    let polled = polls.iter().map(|(second, tells)| {
        let asked = RefCell::new(0);
        let facts = rehearsal.poll(Timestamp(second * 1000), |question, id| {
            let Question::Rpc { method, .. } = question else { panic!("{question:?}") };
            *asked.borrow_mut() += 1;
            match (&**method, tells) {
                ("peers", false) => (500, Bytes::new()),
                ("peers", true) => (200, format!(r#"{{"id":{id},"result":7}}"#).into()),
                _ => (200, format!(r#"{{"id":{id},"result":1}}"#).into()),
            }
        });
        (facts.unwrap().peers, asked.into_inner())
    });
    polled.collect()
}

#[test]
fn what_is_asked_rarely_is_remembered_for_three_paces_and_asked_again_until_it_is_answered() {
    assert_eq!(
        peers_over(&[(0, true), (5, true), (60, false), (65, false), (180, false), (181, false), (185, true)]),
        [(Some(7), 2), (Some(7), 1), (Some(7), 2), (Some(7), 2), (Some(7), 2), (None, 2), (Some(7), 2)]
    );
}

#[test]
fn what_another_chain_has_told_is_forgotten() {
    let mut rehearsal = Rehearsal::new(Family::Generic, &of_config(PACED));
    let mut at = |second: i64, chain: u64| {
        let said = rehearsal.poll(Timestamp(second * 1000), |question, id| {
            let Question::Rpc { method, .. } = question else { panic!("{question:?}") };
            let result = if method == "peers" { 7 } else { chain };
            (200, format!(r#"{{"id":{id},"result":{result}}}"#).into())
        });
        said.unwrap().peers
    };
    assert_eq!([at(0, 1), at(5, 1), at(10, 2), at(15, 2)], [Some(7), Some(7), None, Some(7)]);
}

#[test]
fn a_node_that_says_it_failed_has_failed() {
    let monero = example("Monero");
    let said = |info: Value| poll(Family::Generic, &monero, &json!({"get_info": {"result": info}})).unwrap_err();
    let kinds = [json!({"status": "BUSY"}), json!({"status": "FAILED", "height": 7}), json!({"status": "OK"})]
        .map(|info| said(info).kind);
    assert_eq!(kinds, [ErrorKind::Starting, ErrorKind::Rpc, ErrorKind::Malformed]);
    assert_eq!(&*said(json!({"status": "FAILED"})).detail, r#"/status is "FAILED""#);
    let limited = json!({"get_info": {"error": {"code": 429, "message": "slow down"}}});
    assert_eq!(poll(Family::Generic, &monero, &limited).unwrap_err().kind, ErrorKind::RateLimited);
}

/// A key in a path or in parameters is quoted by some servers that refuse it.
#[tokio::test]
async fn a_key_in_a_question_never_reaches_an_observation() {
    const KEY: &str = "9aa3d95b3bc440fa88ea12eaa4456161";
    let call = |asked: &str| {
        format!(
            "[[network]]\nname = \"g\"\nfamily = \"generic\"\n[[network.call]]\n{asked}\nheight = \"/height\"\n\
             [[network.node]]\nname = \"n\"\nurl = \"http://127.0.0.1:1\"\n"
        )
    };
    for (asked, refusal) in [
        (format!("path = \"/v1/{KEY}/status\""), format!(r#"{{"message":"cannot use {KEY}"}}"#)),
        (
            format!("method = \"status\"\nparams = [\"{KEY}\"]"),
            format!(r#"{{"error":{{"code":-32000,"message":"cannot use {KEY}"}},"id":1}}"#),
        ),
    ] {
        let node = ScriptedNode::always(crate::scripted_node::Reply::status(404, "Not Found", "", &refusal)).await;
        let particulars = of_config(&call(&asked));
        let generic = haltwatch::chain::NodeTarget { family: Family::Generic, particulars, ..target(0, &node.url()) };
        let error = Watch::start(&nodes(vec![generic])).node().await.outcome.unwrap_err();
        assert!(error.detail.contains("cannot use …") && !error.detail.contains(KEY), "{asked}: {error:?}");
    }
}

/// The whole way: a configuration, the poller, a batch on a wire.
#[tokio::test]
async fn a_generic_node_is_polled_in_one_batch() {
    let node = ScriptedNode::start(healthy(100)).await;
    let generic =
        haltwatch::chain::NodeTarget { family: Family::Generic, particulars: example("EVM"), ..target(0, &node.url()) };
    let mut watch = Watch::start(&nodes(vec![generic]));
    let facts = watch.node().await.outcome.unwrap();
    assert_eq!((facts.head.height, facts.peers, facts.syncing), (Height(100), Some(25), Syncing::No));
    assert!(matches!(facts.finality, Finality::Known { height: Height(92), .. }));
    assert_eq!(facts.chain_id.as_deref(), Some("1"));
    assert_eq!(node.asked().len(), 1);
}
