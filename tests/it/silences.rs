//! Silences over HTTP through the whole daemon: made, shown, obeyed, kept over a restart, ended; and who may not.

use haltwatch::app::Daemon;
use serde_json::{Value, json};

use crate::{
    daemon::{File, Storage, alertmanager, eventually},
    scripted_node::{ScriptedNode, healthy},
    web::ask,
};

fn config(node: &ScriptedNode, peer: &ScriptedNode, web: &str) -> String {
    format!(
        "[monitor]\nname = \"mon\"\n[web]\nlisten = [\"127.0.0.1:0\"]\n{web}\n[alertmanager]\nurls = [{:?}]\n\
         [[network]]\nname = \"main\"\nfamily = \"evm\"\n\
         [[network.node]]\nname = \"one\"\ninterval = \"100ms\"\nurl = {:?}\n\
         [[rule]]\nname = \"High\"\nscope = \"node\"\nwhen = 'node.height > 5'\nfor = \"0s\"\nlevel = \"L3\"\nsummary = \"high\"\n\
         [[silence]]\nmatchers = [\"node=nobody\"]\nweekdays = [\"monday\"]\ncomment = \"backups\"\n",
        peer.url(),
        node.url()
    )
}

fn body(matcher: (&str, &str), ends_at: &str) -> String {
    json!({
        "matchers": [{"name": matcher.0, "value": matcher.1, "isRegex": false}],
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": ends_at, "createdBy": "ann", "comment": "work",
    })
    .to_string()
}

fn pushed(peer: &ScriptedNode, name: &str) -> usize {
    let posts = peer.asked().into_iter().filter(|asked| asked.head.starts_with("POST "));
    let alerts = posts.flat_map(|asked| serde_json::from_slice::<Vec<Value>>(&asked.body).unwrap());
    alerts.filter(|alert| alert["labels"]["alertname"] == name).count()
}

async fn silenced_by(daemon: &Daemon) -> Vec<String> {
    let explained = ask(daemon.addresses()[0], "GET", "/api/v1/explain?alert=High", "").await.json();
    let alerts = explained["data"]["alerts"].as_array().cloned().unwrap_or_default();
    alerts.iter().filter_map(|alert| alert["silenced_by"].as_str().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_is_made_shown_obeyed_kept_over_a_restart_and_ended() {
    let (node, peer) = (ScriptedNode::start(healthy(3)).await, alertmanager().await);
    let file = File::new(&config(&node, &peer, "enable_silences = true"));
    let storage = Storage::new("silences-life");
    let daemon = storage.start(&file);
    let address = daemon.addresses()[0];
    let made = ask(address, "POST", "/api/v2/silences", &body(("alertname", "High"), "2199-01-01T00:00:00Z")).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let id = made.json()["silenceID"].as_str().unwrap().to_owned();
    node.rewrite(healthy(7));
    eventually("the watchdog is announced", || 0 < pushed(&peer, "Watchdog")).await;
    while silenced_by(&daemon).await != [id.clone()] {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let metrics = ask(address, "GET", "/metrics", "").await;
    assert!(metrics.text().contains("alertname=\"High\",state=\"silenced\""));
    let page = ask(address, "GET", "/", "").await;
    assert!(page.text().contains(&format!("silenced by {id}")));
    assert!(page.text().contains("1 alert firing, silenced.") && !page.text().contains("All quiet"));
    let list = ask(address, "GET", "/api/v2/silences", "").await.json();
    let known = |list: &Value| {
        list.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(known(&list), ["config-1".to_owned(), id.clone()]);
    let some = ask(address, "GET", "/api/v2/silences?filter=alertname%3DHigh", "").await.json();
    assert_eq!(known(&some), std::slice::from_ref(&id));
    assert_eq!(some[0]["status"]["state"], "active");
    assert!(daemon.stop().await);

    let daemon = storage.start(&file);
    let address = daemon.addresses()[0];
    let one = ask(address, "GET", &format!("/api/v2/silence/{id}"), "").await.json();
    assert_eq!((&one["createdBy"], &one["comment"]), (&"ann".into(), &"work".into()));
    while silenced_by(&daemon).await != [id.clone()] {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(pushed(&peer, "High"), 0, "neither before nor after the restart");
    assert_eq!(ask(address, "DELETE", &format!("/api/v2/silence/{id}"), "").await.status, 200);
    eventually("it is announced now", || 0 < pushed(&peer, "High")).await;
    let one = ask(address, "GET", &format!("/api/v2/silence/{id}"), "").await.json();
    assert_eq!(one["status"]["state"], "expired");
    assert!(daemon.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_is_refused_and_says_why() {
    let (node, peer) = (ScriptedNode::start(healthy(3)).await, alertmanager().await);
    let file = File::new(&config(&node, &peer, "enable_silences = true"));
    let storage = Storage::new("silences-refused");
    let daemon = storage.start(&file);
    let address = daemon.addresses()[0];
    let later = "2199-01-01T00:00:00Z";
    for (method, path, body, status, said) in [
        ("POST", "/api/v2/silences", body(("alertname", "Watchdog"), later), 400, "Watchdog is never silenced"),
        ("POST", "/api/v2/silences", body(("node", ""), later), 400, "must not match the empty text"),
        ("POST", "/api/v2/silences", body(("node", "a"), "2021-01-01T00:00:00Z"), 400, "endsAt is in the past"),
        ("POST", "/api/v2/silences", "{".to_owned(), 400, "not a silence"),
        ("POST", "/api/v2/silences", "x".repeat(70_000), 413, "too large"),
        ("GET", "/api/v2/silences?filter=a", String::new(), 400, "filter"),
        ("GET", "/api/v2/silence/nobody", String::new(), 404, "no such silence"),
        ("GET", "/api/v2/silence", String::new(), 404, "no such silence"),
        ("DELETE", "/api/v2/silence/nobody", String::new(), 404, "no such silence"),
        ("DELETE", "/api/v2/silence/config-1", String::new(), 400, "stands in the configuration"),
        ("PUT", "/api/v2/silences", String::new(), 405, "not allowed"),
    ] {
        let answer = ask(address, method, path, &body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert!(answer.text().contains(said), "{method} {path}: {}", answer.text());
    }
    file.write(&config(&node, &peer, "enable_silences = false"));
    daemon.reload().await.unwrap();
    assert_eq!(ask(address, "GET", "/api/v2/silences", "").await.status, 200);
    let made = ask(address, "POST", "/api/v2/silences", &body(("node", "a"), later)).await;
    assert_eq!((made.status, made.text()), (403, "silences over HTTP are not enabled; set enable_silences in [web]\n"));
    assert_eq!(ask(address, "DELETE", "/api/v2/silence/x", "").await.status, 403);
    assert!(daemon.stop().await);
}
