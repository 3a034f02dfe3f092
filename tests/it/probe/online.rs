//! `check-config --online`.

use std::fmt::Write as _;

use serde_json::json;

use super::{Folder, haltwatch, node_script};
use crate::scripted_node::{Reply, ScriptedNode, evm_answer, json_rpc};

/// A whole configuration; `keys` belong to the network, `more` stands before it.
fn config(keys: &str, urls: &[&str], more: &str) -> String {
    let mut text = format!("{more}\n[[network]]\nname = \"main\"\nfamily = \"evm\"\n{keys}\n");
    for (number, url) in urls.iter().enumerate() {
        write!(text, "[[network.node]]\nname = \"n{number}\"\nurl = \"{url}\"\ntimeout = \"1s\"\n").unwrap();
    }
    text
}

async fn check(text: &str, name: &str) -> (i32, String) {
    let folder = Folder::new(name);
    let file = folder.file("config.toml", text);
    let (code, out, err) = haltwatch(&["check-config", "--online", "--config.file", file.to_str().unwrap()], &[]).await;
    (code, out + &err)
}

fn status(name: &str, cluster: &str, peers: usize) -> Reply {
    let peers: Vec<_> = (0..peers).map(|n| json!({"name": n.to_string(), "address": "127.0.0.1:9094"})).collect();
    let status = json!({
        "cluster": {"name": name, "status": cluster, "peers": peers},
        "versionInfo": {"version": "0.27.0"}, "uptime": "2026-11-22T00:00:00.000Z", "config": {"original": ""},
    });
    Reply::json(status.to_string())
}

#[tokio::test]
async fn a_good_configuration_is_confirmed_with_what_was_found() {
    let node = ScriptedNode::start(node_script).await;
    let canary = ScriptedNode::always(Reply::Hang).await;
    let alertmanager = ScriptedNode::always(status("a", "ready", 1)).await;
    let more = format!(
        "[monitor]\ncanaries = [\"{}\"]\n[alertmanager]\nurls = [\"{}\"]",
        canary.address(),
        alertmanager.url()
    );
    let (code, out) = check(&config("chain_id = 1\nblock_time = \"1s\"", &[&node.url()], &more), "good").await;
    assert_eq!(code, 0, "{out}");
    for words in [
        "node main/n0\n",
        "1 (Ethereum)",
        "halted after 30 s",
        "Geth/v1.17.5",
        ": reachable\n",
        ": version 0.27.0, cluster ready (1 members)",
        "online: 0 errors, 0 warnings\n",
    ] {
        assert!(out.contains(words), "{words} is missing in {out}");
    }
}

#[tokio::test]
async fn a_halt_that_would_look_like_idleness_is_warned_of() {
    for (pool, warned) in
        [(json!({"result": {"pending": "0x0", "queued": "0x0"}}), false), (json!({"result": null}), true)]
    {
        let node = ScriptedNode::start(move |asked| {
            json_rpc(asked, |method, params| match method {
                "txpool_status" => pool.clone(),
                _ => evm_answer(5, method, params),
            })
        })
        .await;
        let (_, out) = check(&config("cadence = \"on_demand\"", &[&node.url()], ""), "idle").await;
        let says = out.contains("no node of main tells whether work waits for a block: a halt looks like idleness");
        assert_eq!(says, warned, "{out}");
    }
}

#[tokio::test]
async fn what_disagrees_with_the_configuration_or_among_the_nodes_is_an_error() {
    let node = ScriptedNode::start(node_script).await;
    let other = ScriptedNode::start(|asked| {
        json_rpc(asked, |method, params| match method {
            "eth_chainId" => json!({"result": "0x2"}),
            _ => evm_answer(5, method, params),
        })
    })
    .await;
    let (code, out) = check(&config("chain_id = 1", &[&node.url(), &other.url()], ""), "wrong").await;
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("error: chain id 2, but the configuration wants 1"), "{out}");
    assert!(out.contains("error: the nodes of main disagree about the chain id: 1 (main/n0); 2 (main/n1)"), "{out}");
    let genesis = format!("genesis = \"{:#066x}\"", 7);
    let (code, out) = check(&config(&genesis, &[&node.url()], ""), "genesis").await;
    assert!(code == 1 && out.contains("error: genesis 0x") && out.contains("online: 1 error,"), "{out}");
}

#[tokio::test]
async fn another_variant_than_the_configured_one_is_warned_of() {
    let node = ScriptedNode::start(|asked| {
        json_rpc(asked, |method, params| match method {
            "eth_chainId" => json!({"result": "0x38"}),
            _ => evm_answer(5, method, params),
        })
    })
    .await;
    for (keys, said) in [("variant = \"bsc\"", None), ("variant = \"bor\"", Some("\"bor\"")), ("", Some("none"))] {
        let (code, out) = check(&config(keys, &[&node.url()], ""), "variant").await;
        let wanted = said.map(|said| format!("answers as one of variant \"bsc\", the configuration names {said}"));
        assert_eq!(code, 0, "{out}");
        assert_eq!(wanted.is_some(), out.contains("answers as one of variant"), "{out}");
        assert!(wanted.is_none_or(|wanted| out.contains(&wanted)), "{out}");
    }
}

#[tokio::test]
async fn what_stands_elsewhere_than_the_configuration_says_is_warned_of() {
    let node = ScriptedNode::start(|asked| match asked.head.split(' ').nth(1) {
        Some(path) if path.starts_with("/peers") => Reply::status(404, "Not Found", "", "no peers at S3CR3T.S3CR3T"),
        _ => Reply::json(
            json!({"height": 5, "final": null, "time": 1_763_000_000, "version": "x S3CR3T.S3CR3T"}).to_string(),
        ),
    })
    .await;
    let text = format!(
        "[[network]]\nname = \"main\"\nfamily = \"generic\"\n[[network.call]]\npath = \"/info?key=S3CR3T.S3CR3T\"\n\
         height = \"/height\"\nfinalized = \"/final\"\npending = \"/pool\"\nsyncing = '/syncing == true'\n\
         time = \"/time as ms\"\nversion = \"/version\"\n[[network.call]]\npath = \"/peers\"\npeers = \"/n\"\n\
         [[network.node]]\nname = \"n\"\nurl = \"{}\"\n",
        node.url()
    );
    let (code, out) = check(&text, "pointers").await;
    assert_eq!(code, 0, "{out}");
    for words in [
        "warning: GET /info?key=… does not tell `pending` at /pool",
        "warning: GET /info?key=… does not tell `syncing` at /syncing == true",
        "warning: GET /peers gives no answer that can be read",
        "warning: its newest block is of 1970-",
        "online: 0 errors, 4 warnings",
    ] {
        assert!(out.contains(words), "{words} is missing in {out}");
    }
    assert!(!out.contains("S3CR3T"), "{out}");
}

#[tokio::test]
async fn what_does_not_answer_is_an_error_and_what_is_merely_odd_a_warning() {
    let node = ScriptedNode::start(node_script).await;
    let more = "[monitor]\ncanaries = [\"127.0.0.1:1\"]\n[alertmanager]\nurls = [\"http://127.0.0.1:1\"]";
    let keys = "block_time = \"2s\"";
    let (code, out) = check(&config(keys, &[&node.url(), "http://127.0.0.1:1/S3CR3TS3CR3T"], more), "dead").await;
    assert_eq!(code, 1);
    assert!(out.contains("warning: block_time is 2 s, but blocks took 1.000 s lately"), "{out}");
    assert!(out.contains("canary 127.0.0.1:1: error: does not answer"), "{out}");
    assert!(out.contains("online: 3 errors, 1 warning\n"), "{out}");
    assert!(!out.contains("S3CR3T"), "{out}");
}

#[tokio::test]
async fn an_alertmanager_that_is_none_or_several_is_found_out() {
    let node = ScriptedNode::start(node_script).await;
    let turns = std::sync::atomic::AtomicUsize::new(0);
    let balancer = move |_: &_| {
        let turn = turns.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        status(&format!("peer-{turn}"), "ready", 2)
    };
    let balancer = ScriptedNode::start(balancer).await;
    let old = ScriptedNode::always(Reply::status(404, "Not Found", "", "")).await;
    let other = ScriptedNode::always(Reply::json("{}")).await;
    let settling = ScriptedNode::always(status("a", "settling", 9)).await;
    let urls = [&balancer, &old, &other, &settling].map(|peer| format!("\"{}\"", peer.url())).join(", ");
    let more = format!("[alertmanager]\nurls = [{urls}]");
    let (code, out) = check(&config("", &[&node.url()], &more), "alertmanagers").await;
    assert_eq!(code, 1);
    for words in [
        "warning: several Alertmanagers behind one address",
        "error: it has no API v2 (HTTP 404)",
        "error: the answer is not the status of an Alertmanager",
        "warning: its cluster is not ready: settling",
        "warning: its cluster has 9 members, but only 4 are configured",
    ] {
        assert!(out.contains(words), "{words} is missing in {out}");
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_not_dialed() {
    let node = ScriptedNode::start(node_script).await;
    let (code, _) = check(&config("nonsense = 1", &[&node.url()], ""), "nonsense").await;
    assert_eq!((code, node.connections()), (78, 0));
}
