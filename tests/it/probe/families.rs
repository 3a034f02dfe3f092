//! Who is who: nodes of every family are recognised, simulated ones and recorded ones, and so are those that pass for
//! another. What is suggested for each is a configuration that works as it was printed.

use std::{fs, path::Path, time::Duration};

use haltwatch::{
    chain::Family,
    config::{self, Code, Config, Source},
    observation::probe::{Reason, Report},
    output::probe::config as suggestion,
    sim::{
        Cadence as Pacing, Devnet, Member, Pace, Plan, Quorum, Script, Tongue, World, rpc::Desk, tongue::Asked as Heard,
    },
};
use serde_json::{Value, json};

use super::{TIMEOUT, ask, haltwatch};
use crate::scripted_node::{Asked, Reply, ScriptedNode, evm_answer, json_rpc};

// ---- what must hold for every suggestion

/// The configuration that is suggested, which must be accepted; nothing in it may be suspicious but that it is small, and
/// that only its user knows how long a chain that works on demand is ordinarily idle.
fn suggested(report: &Report) -> (String, Config) {
    assert!(report.is_node(), "{:?}", report.failure);
    let text = suggestion(report).unwrap();
    let config = config::load(&Source::Text(text.clone())).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    let left = [Code::SingleNode, Code::NoCanary, Code::NoAlertmanager, Code::NotPinned, Code::UnseenWork];
    let strange = config.warnings.list.iter().find(|problem| !left.contains(&problem.code));
    assert!(strange.is_none(), "{strange:?}\n{text}");
    (text, config)
}

/// Family and variant of the only network that is suggested.
fn kind(report: &Report) -> (Family, Option<&'static str>) {
    let (text, config) = suggested(report);
    let [node] = &*config.chain.nodes else { panic!("{text}") };
    assert_eq!((Some(node.family.as_str()), node.particulars.variant), (report.family, report.kind.variant), "{text}");
    (node.family, node.particulars.variant)
}

fn no_method(method: &str) -> Value {
    json!({"error": {"code": -32601, "message": format!("the method {method} does not exist/is not available")}})
}

fn method(asked: &Asked) -> String {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    body["method"].as_str().unwrap_or("a batch or a resource").to_owned()
}

// ---- simulated nodes

fn world(tongue: Tongue) -> World {
    let cadence = match tongue {
        Tongue::Beacon => Pacing::Slots { every: Duration::from_secs(1), missed_per_mille: 0 },
        _ => Pacing::Interval(Duration::from_secs(1)),
    };
    let plan = Plan {
        tongue,
        name: "devnet".to_owned(),
        chain_id: 4242,
        seed: 1,
        cadence,
        quorum: Quorum::Bft,
        finality_lag: 2,
        outside_peers: 5,
        members: (1..=4).map(|n| Member { name: format!("v{n}"), votes: true }).collect(),
    };
    World::open(vec![plan], Script::default(), Duration::from_secs(300))
}

#[tokio::test]
async fn simulated_nodes_of_every_kind_are_recognised() {
    for tongue in Tongue::ALL {
        let devnet = Devnet::start(world(*tongue), Pace::REAL).unwrap();
        let report = ask(&devnet.urls()[0][0], TIMEOUT).await;
        let wanted = match tongue {
            Tongue::Qbft => Some("qbft"),
            Tongue::Clique => Some("clique"),
            _ => None,
        };
        let (family, variant) = kind(&report);
        assert_eq!((family.as_str(), variant), (tongue.family(), wanted), "{tongue:?}");
        assert_eq!(report.kind.groups.first().map(|group| &**group), tongue.group(), "{tongue:?}");
        devnet.stop().await;
    }
}

// ---- recorded nodes

/// What a node said that was asked call by call.
fn recording(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name).with_extension("json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// The answer to a call, which stands under its method alone, with all parameters, or with the first word of them.
fn recorded(recording: &Value, method: &str, params: &Value) -> Value {
    let topic = params[0].as_str().unwrap_or_default();
    let keys = [format!("{method} {params}"), format!("{method} {topic}"), method.to_owned()];
    keys.iter().find_map(|key| recording.get(key)).cloned().unwrap_or_else(|| no_method(method))
}

async fn replay(name: &str) -> ScriptedNode {
    let recording = recording(name);
    ScriptedNode::start(move |asked| json_rpc(asked, |method, params| recorded(&recording, method, params))).await
}

#[tokio::test]
async fn recorded_nodes_are_recognised_for_what_they_are() {
    for (name, family, variant) in [
        ("evm/anvil", Family::Evm, None),
        ("evm/ethjs", Family::Evm, None),
        ("evm/ganache", Family::Evm, None),
        ("evm/hardhat", Family::Evm, None),
        // The execution side of a CometBFT chain, on a port of its own.
        ("evm/injective", Family::Evm, None),
        ("cometbft/healthy", Family::CometBft, None),
        ("bitcoin/bitcoind", Family::Bitcoin, Some("regtest")),
        ("monero/monerod", Family::Monero, None),
        // The runtime of a parachain in front of a server that does not list its methods here.
        ("substrate/chopsticks", Family::Substrate, Some("parachain")),
    ] {
        let node = replay(name).await;
        assert_eq!(kind(&ask(&node.url(), TIMEOUT).await), (family, variant), "{name}");
    }
}

#[tokio::test]
async fn a_runtime_whose_server_makes_blocks_on_request_is_none_of_a_parachain() {
    let (runtime, server) = (recording("substrate/chopsticks"), recording("substrate/chopsticks_methods"));
    let node = ScriptedNode::start(move |asked| {
        json_rpc(asked, |method, params| match method {
            "rpc_methods" => recorded(&server, method, params),
            _ => recorded(&runtime, method, params),
        })
    })
    .await;
    assert_eq!(kind(&ask(&node.url(), TIMEOUT).await), (Family::Substrate, Some("manual-seal")));
}

/// A consensus client: it has resources and nothing else.
async fn rest_only() -> ScriptedNode {
    let recording = recording("beacon/lodestar");
    ScriptedNode::start(move |asked| {
        let mut words = asked.head.split(' ');
        match (words.next(), words.next().and_then(|path| recording.get(path))) {
            (Some("GET"), Some(told)) if told["status"] == 200 => Reply::json(told["body"].to_string()),
            _ => Reply::status(404, "Not Found", "", r#"{"statusCode":404,"error":"Not Found","message":"no route"}"#),
        }
    })
    .await
}

#[tokio::test]
async fn a_node_with_resources_alone_is_found_without_many_questions() {
    let node = rest_only().await;
    assert_eq!(kind(&ask(&node.url(), TIMEOUT).await), (Family::Beacon, None));
    let posts = node.asked().iter().filter(|asked| asked.head.starts_with("POST ")).count();
    assert_eq!(posts, 1, "what is no JSON-RPC is not asked more of it");
}

#[tokio::test]
async fn a_monerod_is_found_below_its_url_and_the_suggestion_says_where() {
    let recording = recording("monero/monerod");
    let node = ScriptedNode::start(move |asked| match asked.head.split(' ').nth(1) {
        Some("/json_rpc") => json_rpc(asked, |method, params| recorded(&recording, method, params)),
        _ => Reply::status(404, "Not found", "", ""),
    })
    .await;
    let report = ask(&node.url(), TIMEOUT).await;
    assert_eq!(kind(&report).0, Family::Monero);
    assert!(suggested(&report).0.contains(&format!("url = \"{}/json_rpc\"", node.url())));
    assert_eq!(kind(&ask(&format!("{}/json_rpc", node.url()), TIMEOUT).await).0, Family::Monero);
}

// ---- nodes that pass for another

/// A node that also speaks Ethereum's JSON-RPC, as a runtime with an EVM in it or a front server for both does.
async fn bilingual(name: &str) -> ScriptedNode {
    let recording = recording(name);
    ScriptedNode::start(move |asked| {
        json_rpc(asked, |method, params| match method.split_once('_') {
            Some(("eth" | "net" | "web3", _)) => evm_answer(7, method, params),
            _ => recorded(&recording, method, params),
        })
    })
    .await
}

#[tokio::test]
async fn who_speaks_ethereum_beside_its_own_language_is_what_it_is() {
    for (name, family) in [("substrate/chopsticks", Family::Substrate), ("cometbft/healthy", Family::CometBft)] {
        let node = bilingual(name).await;
        assert_eq!(kind(&ask(&node.url(), TIMEOUT).await).0, family, "{name}");
        let url = node.url();
        let (code, out, err) = haltwatch(&["probe", &url, "--family=evm", "--output=json"], &[]).await;
        assert_eq!(code, 0, "asked for by name it is that: {out}{err}");
    }
}

/// An execution client of `chain_id` that has answers of its own to some questions.
async fn evm(
    chain_id: u64,
    client: &'static str,
    own: impl Fn(&str) -> Option<Value> + Send + Sync + 'static,
) -> ScriptedNode {
    ScriptedNode::start(move |asked| {
        json_rpc(asked, |method, params| match (method, own(method)) {
            (_, Some(result)) => json!({"result": result}),
            ("eth_chainId", _) => json!({"result": format!("{chain_id:#x}")}),
            ("web3_clientVersion", _) => json!({"result": client}),
            _ => evm_answer(1_000_000, method, params),
        })
    })
    .await
}

#[tokio::test]
async fn a_variant_is_said_where_the_answers_prove_it_and_nowhere_else() {
    let none = |_: &str| None;
    for (chain_id, client, wanted) in [
        (1, "Geth/v1.17.5", None),
        (56, "Geth/v1.5.17", Some("bsc")),
        (137, "bor/v2.2.9", Some("bor")),
        (43114, "v0.15.0", Some("avalanche")),
        (42161, "nitro/v3.6.5", Some("arbitrum")),
        (8453, "Geth/v1.101602.0", Some("op")),
        (56, "anvil/v1.7.1", None),
        (4242, "Geth/v1.17.5", None),
        (4242, "bor/v2.2.9", Some("bor")),
    ] {
        let node = evm(chain_id, client, none).await;
        assert_eq!(kind(&ask(&node.url(), TIMEOUT).await), (Family::Evm, wanted), "{chain_id} {client}");
    }
    for (knows, told, wanted) in [
        ("eth_getTransactionByBlockNumberAndIndex", json!({"type": "0x7e"}), Some("op")),
        ("ibft_getValidatorsByBlockNumber", json!(["0x01"]), Some("ibft2")),
        ("istanbul_getValidators", json!(["0x01"]), Some("istanbul")),
        ("raft_cluster", json!([{"raftId": 1}]), Some("raft")),
        ("parlia_getValidators", json!(["0x01"]), Some("bsc")),
        ("clique_getSigners", json!([]), None),
    ] {
        let node = evm(4242, "Geth/v1.10.3", move |method| (method == knows).then(|| told.clone())).await;
        assert_eq!(kind(&ask(&node.url(), TIMEOUT).await), (Family::Evm, wanted), "{knows}");
    }
}

#[tokio::test]
async fn both_nodes_of_a_rollup_are_told_apart_also_behind_one_address() {
    let status = || json!({"unsafe_l2": {"hash": format!("{:#066x}", 7), "number": 7}});
    let op_node = ScriptedNode::start(move |asked| {
        json_rpc(asked, |method, _| match method {
            "optimism_syncStatus" => json!({"result": status()}),
            _ => no_method(method),
        })
    })
    .await;
    assert_eq!(kind(&ask(&op_node.url(), TIMEOUT).await), (Family::OpNode, None));
    let both = evm(10, "Geth/v1.101602.0", move |method| (method == "optimism_syncStatus").then(status)).await;
    assert_eq!(kind(&ask(&both.url(), TIMEOUT).await), (Family::Evm, Some("op")));
}

#[tokio::test]
async fn the_web3_port_of_fisco_bcos_is_an_evm_that_seals_on_demand() {
    let node = evm(20200, "FISCO-BCOS-Web3RPC/3.16.2-Release/Linux/g++", |_| None).await;
    let report = ask(&node.url(), TIMEOUT).await;
    assert_eq!(kind(&report), (Family::Evm, None));
    let text = suggested(&report).0;
    assert!(text.contains("cadence = \"on_demand\"") && !text.contains("block_time"), "{text}");
}

#[tokio::test]
async fn each_group_of_a_node_is_a_network() {
    let world = world(Tongue::FiscoBcos3);
    let node = ScriptedNode::start(move |asked| {
        if method(asked) == "getGroupList" {
            return json_rpc(asked, |_, _| json!({"result": {"groupList": ["group0", "group1", " "]}}));
        }
        let desk = Desk { chain: &world.chains()[0], node: 0, epoch_ms: 0, speed: 1, streams: false };
        let said = desk.reply(&Heard { method: &http::Method::POST, path: "/", body: &asked.body });
        Reply::json(said.json.unwrap())
    })
    .await;
    let (text, config) = suggested(&ask(&node.url(), TIMEOUT).await);
    let groups: Vec<_> = config.chain.nodes.iter().map(|node| node.particulars.group.as_deref().unwrap()).collect();
    assert_eq!(groups, ["group0", "group1"], "{text}");
    let names: Vec<_> = config.engine.networks.iter().map(|network| &*network.name).collect();
    assert_eq!(names, ["fisco-bcos-3-chain4242-group0", "fisco-bcos-3-chain4242-group1"]);
    let pinned: Vec<_> = config.engine.networks.iter().map(|network| network.genesis.is_some()).collect();
    assert_eq!(pinned, [true, false], "of a group that was not asked nothing is known");
}

// ---- relatives of Bitcoin, and what keeps us out of them

/// A relative of Bitcoin, told apart by its first block or by its name.
fn relative(method: &str, genesis: &str, program: &str) -> Value {
    match method {
        "getblockchaininfo" => json!({"error": null, "result": {
            "chain": "main", "blocks": 7, "headers": 7, "bestblockhash": "ab".repeat(32), "time": 1_700_000_000}}),
        "getblockhash" => json!({"error": null, "result": genesis}),
        "getnetworkinfo" => json!({"error": null, "result": {"subversion": program}}),
        "getconnectioncount" => json!({"error": null, "result": 8}),
        _ => json!({"result": null, "error": {"code": -32601, "message": "Method not found"}}),
    }
}

#[tokio::test]
async fn a_relative_of_bitcoin_is_called_by_its_name() {
    let bitcoin = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
    let dash = "00000ffd590b1485b3caadc19b22e6379c733355108f107a430458cdf3407ab6";
    for (genesis, program, variant, name) in [
        (bitcoin, "/Satoshi:28.0.0/", None, "bitcoin-main"),
        (bitcoin, "/Bitcoin Cash Node:27.1.0(EB32.0)/", Some("bitcoin-cash"), "bitcoin-cash-main"),
        (dash, "/Dash Core:22.0.0/", Some("dash"), "dash-main"),
    ] {
        let node =
            ScriptedNode::start(move |asked| json_rpc(asked, |method, _| relative(method, genesis, program))).await;
        let report = ask(&node.url(), TIMEOUT).await;
        assert_eq!(kind(&report), (Family::Bitcoin, variant), "{program}");
        assert!(suggested(&report).0.contains(&format!("name = \"{name}\"")));
    }
}

#[tokio::test]
async fn a_node_that_refuses_all_but_its_list_is_recognised() {
    let program = "/Satoshi:28.0.0/";
    let node = ScriptedNode::start(move |asked| {
        let is_listed =
            asked.body.starts_with(b"[") || !relative(&method(asked), "", program)["error"]["code"].is_i64();
        if !is_listed {
            return Reply::status(403, "Forbidden", "", "");
        }
        json_rpc(asked, |method, _| relative(method, &"0".repeat(64), program))
    })
    .await;
    assert_eq!(kind(&ask(&node.url(), TIMEOUT).await), (Family::Bitcoin, None));
}

#[tokio::test]
async fn who_is_kept_out_for_want_of_a_password_is_told_which_keys_take_it() {
    let locked = Reply::status(401, "Unauthorized", "WWW-Authenticate: Basic realm=\"jsonrpc\"\r\n", "");
    let node = ScriptedNode::always(locked.clone()).await;
    let (code, out, _) = haltwatch(&["probe", &node.url()], &[]).await;
    assert_eq!((code, node.asked().len()), (1, 1), "{out}");
    for words in ["a Bitcoin node wants user and password", "--cookie-file", "cookie_file", "basic_auth"] {
        assert!(out.contains(words), "{words} is missing in {out}");
    }
    let folder = super::Folder::new("cookie");
    let cookie = folder.file(".cookie", "__cookie__:S3CR3TS3CR3T");
    let open = ScriptedNode::start(move |asked| {
        let answer = || json_rpc(asked, |method, _| relative(method, &"0".repeat(64), "/Satoshi:28.0.0/"));
        if asked.head.contains("Basic ") { answer() } else { locked.clone() }
    })
    .await;
    let path = cookie.to_str().unwrap();
    let (code, out, err) = haltwatch(&["probe", &open.url(), "--cookie-file", path], &[]).await;
    assert_eq!((code, &*err), (0, ""), "{out}");
    let (_, suggested) = out.split_once("[[network]]").unwrap();
    assert!(suggested.contains(&format!("cookie_file = \"{path}\"")) && !out.contains("S3CR3T"), "{out}");
    let file = folder.file("config.toml", &format!("[[network]]{suggested}"));
    let (code, _, err) = haltwatch(&["check-config", "--config.file", file.to_str().unwrap()], &[]).await;
    assert_eq!(code, 0, "{err}\n{suggested}");
    let basic = ["probe", &open.url(), "--header", "Authorization: Basic X19jb29raWVfXzpTM0NSM1Q="];
    let (_, out, _) = haltwatch(&basic, &[]).await;
    assert!(out.contains(r#"basic_auth = { username = "${RPC_USER}", password = "${RPC_PASSWORD}" }"#), "{out}");
}

// ---- those who are no node, or have had enough

#[tokio::test]
async fn who_limits_or_refuses_us_is_asked_no_more() {
    let text = |status, reason| Reply::status(status, reason, "", "");
    for (reply, wanted, requests) in [
        (text(429, "Too Many Requests"), Reason::RateLimited, 1),
        (text(401, "Unauthorized"), Reason::Unauthorized, 1),
        (text(403, "Forbidden"), Reason::Unauthorized, 2),
    ] {
        let node = ScriptedNode::always(reply).await;
        let reason = ask(&node.url(), TIMEOUT).await.failure.unwrap().reason;
        assert_eq!((reason, node.asked().len()), (wanted, requests));
    }
}

#[tokio::test]
async fn a_limit_in_the_middle_of_the_questions_spoils_nothing_that_is_known() {
    let node = ScriptedNode::start(|asked| match &*method(asked) {
        "chain_getBlockHash" | "status" | "getGroupList" => Reply::status(429, "Too Many Requests", "", ""),
        _ => json_rpc(asked, |method, params| evm_answer(1_000_000, method, params)),
    })
    .await;
    assert_eq!(kind(&ask(&node.url(), TIMEOUT).await), (Family::Evm, None));
}

#[tokio::test]
async fn a_web_page_is_not_asked_for_every_family() {
    let page = Reply::status(200, "OK", "", "<!doctype html><html></html>");
    let node = ScriptedNode::always(page).await;
    assert_eq!(ask(&node.url(), TIMEOUT).await.failure.unwrap().reason, Reason::Html);
    assert!(node.asked().len() <= 3, "{}", node.asked().len());
}
