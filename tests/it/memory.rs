//! What is announced, over the death of the whole daemon: the next one goes on with it, towards the Alertmanager and over
//! HTTP, and ends what has cleared meanwhile.

use std::{path::PathBuf, time::Duration};

use haltwatch::app::Daemon;
use serde_json::Value;

use crate::{
    daemon::{File, Storage, alertmanager, eventually},
    scripted_node::{ScriptedNode, healthy},
    web::ask,
};

fn file_in(storage: &Storage) -> PathBuf {
    storage.0.join("alerts.json")
}

/// The names of the alerts that are kept.
fn kept(storage: &Storage) -> Vec<String> {
    let document = std::fs::read(file_in(storage)).map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap());
    let alerts = document.ok().and_then(|document| document["alerts"].as_array().cloned());
    let names = alerts.unwrap_or_default().into_iter().map(|alert| alert["alertname"].as_str().unwrap().to_owned());
    names.collect()
}

/// A chain whose only node has said its last height, and a rule that tells when it is high.
fn config(node: &ScriptedNode, peer: &ScriptedNode) -> String {
    format!(
        "[monitor]\nname = \"mon\"\n[web]\nlisten = [\"127.0.0.1:0\"]\n[alertmanager]\nurls = [{:?}]\n\
         [[network]]\nname = \"main\"\nfamily = \"evm\"\nblock_time = \"100ms\"\nhalt_floor = \"1s\"\n\
         [[network.node]]\nname = \"one\"\ninterval = \"100ms\"\nurl = {:?}\n\
         [[rule]]\nname = \"High\"\nscope = \"node\"\nwhen = 'node.height > 5'\nfor = \"0s\"\nlevel = \"L3\"\nsummary = \"high\"\n",
        peer.url(),
        node.url()
    )
}

/// Every alert of that name pushed to `peer` so far: its beginning, its end and its description.
fn pushed(peer: &ScriptedNode, name: &str) -> Vec<(String, String, String)> {
    let posts = peer.asked().into_iter().filter(|asked| asked.head.starts_with("POST "));
    let alerts = posts.flat_map(|asked| serde_json::from_slice::<Vec<Value>>(&asked.body).unwrap());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let alerts = alerts.filter(|alert| alert["labels"]["alertname"] == name);
    alerts.map(|it| (text(&it["startsAt"]), text(&it["endsAt"]), text(&it["annotations"]["description"]))).collect()
}

async fn active_at(daemon: &Daemon, name: &str) -> Option<(String, String)> {
    let listed = ask(daemon.addresses()[0], "GET", "/api/v1/alerts", "").await.json();
    let alerts = listed["data"]["alerts"].as_array().cloned().unwrap_or_default();
    let alert = alerts.into_iter().find(|alert| alert["labels"]["alertname"] == name)?;
    Some((alert["activeAt"].as_str()?.to_owned(), alert["annotations"]["reason"].as_str()?.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_in_a_halt_comes_back_to_the_same_incident() {
    let (node, peer) = (ScriptedNode::start(healthy(3)).await, alertmanager().await);
    let (file, storage) = (File::new(&config(&node, &peer)), Storage::new("announced-killed"));
    let halts = || pushed(&peer, "NetworkHalted");
    let daemon = storage.start(&file);
    eventually("it is announced", || !halts().is_empty()).await;
    eventually("it is kept", || kept(&storage) == ["NetworkHalted"]).await;
    let (began, _) = active_at(&daemon, "NetworkHalted").await.unwrap();
    let (starts_at, ..) = halts().remove(0);
    // Nobody is told to stop: every task is cut off where it stands.
    drop(daemon);

    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = halts().len();
    let daemon = storage.start(&file);
    eventually("it is sent again", || before < halts().len()).await;
    while active_at(&daemon, "NetworkHalted").await.is_none_or(|(_, reason)| reason != "blocks_missing") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(active_at(&daemon, "NetworkHalted").await.unwrap().0, began);
    for height in 4..12 {
        node.rewrite(healthy(height));
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    eventually("it ends", || halts().last().is_some_and(|(.., text)| text.contains("over after"))).await;
    let (_, ended, _) = halts().pop().unwrap();
    assert!(halts().iter().all(|(began, ..)| *began == starts_at) && starts_at < ended, "{:?}", halts());
    assert!(daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cleared_while_the_daemon_was_dead_is_told_to_be_over() {
    let (node, peer) = (ScriptedNode::start(healthy(7)).await, alertmanager().await);
    let (file, storage) = (File::new(&config(&node, &peer)), Storage::new("announced-cleared"));
    let daemon = storage.start(&file);
    eventually("it is kept", || kept(&storage) == ["High"]).await;
    eventually("it is announced", || !pushed(&peer, "High").is_empty()).await;
    assert!(daemon.stop().await);
    assert_eq!(kept(&storage), ["High"], "a stop ends no alert");
    let before = pushed(&peer, "High");
    let (starts_at, ..) = before[0].clone();
    node.rewrite(healthy(3));
    let daemon = storage.start(&file);
    eventually("it ends", || pushed(&peer, "High").last().is_some_and(|(.., text)| text.contains("over after"))).await;
    let ends = pushed(&peer, "High").split_off(before.len());
    let is_end = |(began, ended, text): &(String, String, String)| {
        *began == starts_at && *ended == ends[0].1 && text.contains("over after")
    };
    assert!(ends.iter().all(is_end), "nobody is called again: {ends:?}");
    assert!(active_at(&daemon, "High").await.is_none());
    assert!(daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_of_no_use_keeps_no_daemon_from_its_work() {
    let (node, peer) = (ScriptedNode::start(healthy(7)).await, alertmanager().await);
    let (file, storage) = (File::new(&config(&node, &peer)), Storage::new("announced-broken"));
    std::fs::create_dir_all(&storage.0).unwrap();
    std::fs::write(file_in(&storage), "{\"version\":1,\"alerts\":[{\"alertn").unwrap();
    let daemon = storage.start(&file);
    eventually("it is announced as new", || !pushed(&peer, "High").is_empty()).await;
    eventually("the file is whole again", || {
        std::fs::read(file_in(&storage)).is_ok_and(|bytes| bytes.ends_with(b"]}"))
    })
    .await;
    assert_eq!(kept(&storage), ["High"]);
    let aside = std::fs::read_to_string(storage.0.join("alerts.json.unusable")).unwrap();
    assert!(aside.ends_with("{\"alertn"), "whoever wrote it may still want it: {aside}");
    assert!(daemon.stop().await);
}
