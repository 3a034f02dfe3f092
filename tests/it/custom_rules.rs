//! Rules of users through the whole daemon: from the configuration to Alertmanager and back to the API; and that the
//! documentation knows every field.

use haltwatch::engine::custom::field::{Fact, Field};
use serde_json::Value;

use crate::{
    daemon::{File, alertmanager, eventually, start},
    scripted_node::{ScriptedNode, healthy},
    web::ask,
};

const RULE: &str = r#"
[[rule]]
name = "TooHigh"
scope = "node"
when = "node.height >= 7 && node.role == 'archive'"
for = "0s"
level = "L2"
summary = "{{node.name}} of {{network.name}} is at {{node.height}}"
labels = { team = "storage" }
runbook_url = "https://wiki.example.org/high"
"#;

fn config(node: &ScriptedNode, peer: &ScriptedNode, rules: &str) -> String {
    format!(
        "[monitor]\nname = \"mon\"\n[web]\nlisten = [\"127.0.0.1:0\"]\n[alertmanager]\nurls = [{:?}]\n\
         [[network]]\nname = \"main\"\nfamily = \"evm\"\nlabels = {{ zone = \"x\" }}\n\
         [[network.node]]\nname = \"one\"\nrole = \"archive\"\ninterval = \"100ms\"\nurl = {:?}\n{rules}",
        peer.url(),
        node.url()
    )
}

/// Everything pushed under that name.
fn pushed(peer: &ScriptedNode, name: &str) -> Vec<Value> {
    let posts = peer.asked().into_iter().filter(|asked| asked.head.starts_with("POST "));
    let alerts = posts.flat_map(|asked| serde_json::from_slice::<Vec<Value>>(&asked.body).unwrap());
    alerts.filter(|alert| alert["labels"]["alertname"] == name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_goes_everywhere_an_alert_of_ours_goes_and_ends_with_its_rule() {
    let (node, peer) = (ScriptedNode::start(healthy(7)).await, alertmanager().await);
    let file = File::new(&config(&node, &peer, RULE));
    let daemon = start(&file);
    eventually("the alert is pushed", || !pushed(&peer, "TooHigh").is_empty()).await;
    let alert = pushed(&peer, "TooHigh").remove(0);
    for (label, value) in [("level", "L2"), ("node", "one"), ("team", "storage"), ("zone", "x"), ("role", "archive")] {
        assert_eq!(alert["labels"][label], value, "{alert}");
    }
    assert_eq!(alert["annotations"]["summary"], "one of main is at 7");
    assert_eq!(alert["annotations"]["description"], "main/one: one of main is at 7.");
    assert_eq!(alert["annotations"]["runbook_url"], "https://wiki.example.org/high");

    let address = daemon.addresses()[0];
    let rules: Value = ask(address, "GET", "/api/v1/rules?rule_group[]=custom", "").await.json();
    let rule = &rules["data"]["groups"][0]["rules"][0];
    assert_eq!((&rule["name"], &rule["state"], &rule["health"]), (&"TooHigh".into(), &"firing".into(), &"ok".into()));
    assert_eq!(rule["query"], "node.height >= 7 && node.role == 'archive'");
    let explained: Value = ask(address, "GET", "/api/v1/explain?alert=TooHigh", "").await.json();
    assert_eq!(explained["data"]["alerts"][0]["explanation"], "one of main is at 7");
    let metrics = ask(address, "GET", "/metrics", "").await;
    assert!(
        metrics.text().contains("haltwatch_alert{network=\"main\",node=\"one\",alertname=\"TooHigh\",state=\"firing\"")
    );
    let page = ask(address, "GET", "/", "").await;
    assert!(page.text().contains("href=\"https://wiki.example.org/high\""));

    file.write(&config(&node, &peer, ""));
    daemon.reload().await.unwrap();
    eventually("the end is pushed", || {
        let now = haltwatch::clock::Clock.now().wall.to_string();
        pushed(&peer, "TooHigh").iter().any(|alert| alert["endsAt"].as_str().unwrap() <= now.as_str())
    })
    .await;
    assert!(daemon.stop().await);
}

/// What is not documented does not exist for users, and what does not exist is not documented.
#[test]
fn every_field_is_documented() {
    let text = include_str!("../../docs/custom-rules.md");
    for fact in Fact::ALL {
        let field = Field::Fact(*fact);
        let kind = match field.kind().as_str() {
            "a number" => "number",
            "a text" => "text",
            other => other,
        };
        let row = format!("| `{}` | {kind} | {} |", fact.path(), fact.text());
        assert!(text.contains(&row), "{row}");
        assert_eq!(Field::named(fact.path()), Some(field));
    }
    let rows = text.lines().filter(|line| line.starts_with("| `node.") || line.starts_with("| `network."));
    assert_eq!(rows.count(), Fact::ALL.len() + 2, "the fields, and two kinds of labels");
}
