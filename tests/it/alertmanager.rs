//! What scripted Alertmanagers receive: each gets every alert whatever the others do, in the form the API wants.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU32, Ordering},
    },
    time::Duration,
};

use haltwatch::{
    clock::Clock,
    model::{Endpoint, Labels, UnixTime},
    output::{
        alertmanager::{self, Notification, Settings, spawn},
        own::OwnMetrics,
        runbook::Runbooks,
    },
    supervisor::{PanicCounter, Supervisor},
};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::scripted_node::{Asked, Reply, ScriptedNode};

/// What a test waits for at the most.
const PATIENCE: Duration = Duration::from_secs(10);

/// A notifier with its peers.
struct Notifier {
    supervisor: Supervisor,
    notifications: mpsc::Sender<Notification>,
    running: alertmanager::Notifier,
    own: OwnMetrics,
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn external_labels() -> Labels {
    labels(&[("cluster", "eu"), ("monitor", "external")])
}

fn settings(urls: &[String]) -> Settings {
    Settings {
        peers: urls.iter().map(|url| Endpoint::parse(url, "http, https").unwrap()).collect(),
        external_labels: external_labels(),
        timeout: Duration::from_secs(5),
        resend: Duration::from_secs(60),
        external_url: Some("http://mon.example:10019/".to_owned()),
        runbooks: Runbooks::served_at("http://mon.example:10019/"),
    }
}

impl Notifier {
    fn start(settings: Settings) -> Self {
        let mut supervisor = Supervisor::default();
        let own = OwnMetrics::new();
        let (notifications, receiver) = mpsc::channel(16);
        let running = spawn(&mut supervisor, settings, Clock, receiver, &own, &PanicCounter::default());
        Self { supervisor, notifications, running, own }
    }

    async fn fire(&self, name: &str) -> UnixTime {
        let starts_at = Clock.now().wall;
        self.notifications.send(notification(name, starts_at, None)).await.unwrap();
        starts_at
    }

    async fn end(&self, name: &str, starts_at: UnixTime) {
        self.notifications.send(notification(name, starts_at, Some(Clock.now().wall))).await.unwrap();
    }

    async fn stop(self) -> bool {
        drop(self.notifications);
        self.supervisor.stop(PATIENCE).await
    }
}

fn notification(name: &str, starts_at: UnixTime, ends_at: Option<UnixTime>) -> Notification {
    Notification {
        labels: labels(&[("alertname", name), ("monitor", "mon-a")]),
        annotations: vec![("summary", "The node gives no good answer.".to_owned())],
        starts_at,
        ends_at,
    }
    .with_labels(&external_labels())
}

/// Answers as Alertmanager does, running since `life`.
fn healthy(asked: &Asked, life: u32) -> Reply {
    if asked.head.starts_with("GET ") { Reply::json(format!(r#"{{"uptime":"life {life}"}}"#)) } else { Reply::json("") }
}

async fn alertmanager() -> ScriptedNode {
    ScriptedNode::start(|asked| healthy(asked, 1)).await
}

fn posts(peer: &ScriptedNode) -> Vec<Asked> {
    peer.asked().into_iter().filter(|asked| asked.head.starts_with("POST ")).collect()
}

/// Every alert posted to `peer`, in the order of arrival.
fn alerts(peer: &ScriptedNode) -> Vec<Value> {
    posts(peer).iter().flat_map(|asked| serde_json::from_slice::<Vec<Value>>(&asked.body).unwrap()).collect()
}

fn time(alert: &Value, field: &str) -> UnixTime {
    let time = humantime::parse_rfc3339(alert[field].as_str().unwrap()).unwrap();
    let since_epoch = time.duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixTime::from_millis(i64::try_from(since_epoch.as_millis()).unwrap())
}

fn is_firing(alert: &Value) -> bool {
    Clock.now().wall < time(alert, "endsAt")
}

/// Waits until `probe` gives something.
async fn eventually<T>(what: &str, probe: impl Fn() -> Option<T>) -> T {
    let watch = Clock.stopwatch();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(watch.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn alert_number(peer: &ScriptedNode, count: usize) -> Value {
    eventually(&format!("alert number {count} arrives"), || alerts(peer).get(count - 1).cloned()).await
}

fn series(own: &OwnMetrics, name: &str) -> Vec<(String, f64)> {
    let families = own.registry.gather();
    let family = families.iter().find(|family| family.name() == name).unwrap_or_else(|| panic!("{name} is missing"));
    let value = |metric: &prometheus::proto::Metric| match family.get_field_type() {
        prometheus::proto::MetricType::COUNTER => metric.get_counter().get_value(),
        _ => metric.get_gauge().get_value(),
    };
    family.get_metric().iter().map(|metric| (metric.get_label()[0].value().to_owned(), value(metric))).collect()
}

/// The sum over all peers.
fn total(own: &OwnMetrics, name: &str) -> f64 {
    series(own, name).iter().map(|(_, value)| value).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_a_hanging_and_a_failing_peer_do_not_delay_the_live_one() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hanging = ScriptedNode::always(Reply::Hang).await;
    let failing = ScriptedNode::always(Reply::status(500, "Internal Server Error", "", "no")).await;
    let live = alertmanager().await;
    let notifier = Notifier::start(settings(&[format!("http://{dead}"), hanging.url(), failing.url(), live.url()]));
    for n in 1..=3 {
        let watch = Clock.stopwatch();
        notifier.fire(&format!("Alert{n}")).await;
        alert_number(&live, n).await;
        assert!(watch.elapsed() < Duration::from_secs(1), "{:?}", watch.elapsed());
    }
    eventually("the others are being tried", || {
        (!posts(&hanging).is_empty() && !posts(&failing).is_empty()).then_some(())
    })
    .await;
    eventually("all three wait for the other peers", || {
        let waiting = series(&notifier.own, "haltwatch_notifications_queue_length");
        let mut waiting: Vec<String> = waiting.iter().map(|(_, value)| value.to_string()).collect();
        waiting.sort();
        (waiting == ["0", "3", "3", "3"]).then_some(())
    })
    .await;
    let oldest = series(&notifier.own, "haltwatch_notifications_oldest_unacked_timestamp_seconds");
    assert_eq!(oldest.iter().filter(|(_, since)| *since < 1.0).count(), 1, "{oldest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_looks_as_the_api_wants_it() {
    let peer = alertmanager().await;
    let notifier = Notifier::start(settings(&[format!("{}/am/", peer.url())]));
    let starts_at = notifier.fire("NodeOffline").await;
    let alert = alert_number(&peer, 1).await;
    let request = posts(&peer).remove(0);
    let head = request.head.to_lowercase();
    assert!(head.starts_with("post /am/api/v2/alerts http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/json\r\n"), "{head}");
    assert!(!head.contains("content-encoding"), "{head}");
    let wanted = serde_json::json!({"alertname": "NodeOffline", "cluster": "eu", "monitor": "mon-a"});
    assert_eq!(alert["labels"], wanted, "external labels only where the alert has none");
    assert_eq!(alert["annotations"]["summary"], "The node gives no good answer.");
    assert_eq!(alert["generatorURL"], "http://mon.example:10019/");
    assert_eq!(time(&alert, "startsAt"), starts_at);
    let validity = time(&alert, "endsAt").since(starts_at);
    assert!((300..301).contains(&validity.as_secs()), "{validity:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_firing_alert_is_sent_again_with_a_later_end_until_it_is_over() {
    let peer = alertmanager().await;
    let mut settings = settings(&[peer.url()]);
    settings.resend = Duration::from_millis(200);
    let notifier = Notifier::start(settings);
    let starts_at = notifier.fire("NodeOffline").await;
    let (first, third) = (alert_number(&peer, 1).await, alert_number(&peer, 3).await);
    assert!(time(&third, "endsAt").minus(time(&first, "endsAt")) >= 300);
    assert_eq!(first["startsAt"], third["startsAt"]);
    notifier.end("NodeOffline", starts_at).await;
    let over = eventually("the end arrives", || alerts(&peer).into_iter().find(|alert| !is_firing(alert))).await;
    assert_eq!(time(&over, "startsAt"), starts_at);
    assert!(time(&over, "endsAt") <= Clock.now().wall);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_came_and_went_during_an_outage_is_announced_as_firing_first() {
    let status = Arc::new(AtomicU16::new(503));
    let answer = Arc::clone(&status);
    let peer = ScriptedNode::start(move |asked| match answer.load(Ordering::SeqCst) {
        200 => healthy(asked, 1),
        status => Reply::status(status, "Down", "", ""),
    })
    .await;
    let notifier = Notifier::start(settings(&[peer.url()]));
    let starts_at = notifier.fire("NetworkHalted").await;
    eventually("the outage is noticed", || (!posts(&peer).is_empty()).then_some(())).await;
    notifier.end("NetworkHalted", starts_at).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let during = posts(&peer).len();
    status.store(200, Ordering::SeqCst);
    let told = alert_number(&peer, during + 1).await;
    assert!(is_firing(&told), "{told}");
    assert_eq!(time(&told, "startsAt"), starts_at);
    eventually("it is accepted", || (total(&notifier.own, "haltwatch_notifications_sent_total") > 0.0).then_some(()))
        .await;
    let waiting = total(&notifier.own, "haltwatch_notifications_queue_length");
    assert_eq!(waiting.to_string(), "1", "the end still waits for the hold");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_restarted_between_fire_and_end_is_told_of_the_fire_again() {
    let life = Arc::new(AtomicU32::new(1));
    let current = Arc::clone(&life);
    let peer = ScriptedNode::start(move |asked| healthy(asked, current.load(Ordering::SeqCst))).await;
    let notifier = Notifier::start(settings(&[peer.url()]));
    let starts_at = notifier.fire("NetworkHalted").await;
    alert_number(&peer, 1).await;
    eventually("its age is asked", || peer.asked().iter().any(|asked| asked.head.starts_with("GET ")).then_some(()))
        .await;
    life.store(2, Ordering::SeqCst);
    peer.drop_connections();
    notifier.end("NetworkHalted", starts_at).await;
    let second = alert_number(&peer, 2).await;
    assert!(is_firing(&second), "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_closes_every_connection_is_not_stormed_with_questions() {
    let peer = alertmanager().await;
    let notifier = Notifier::start(settings(&[peer.url()]));
    notifier.fire("NetworkHalted").await;
    alert_number(&peer, 1).await;
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        peer.drop_connections();
    }
    let questions = peer.asked().iter().filter(|asked| asked.head.starts_with("GET ")).count();
    assert!(questions <= 3, "{questions} questions within a second");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_alert_costs_none_of_the_others() {
    let peer = ScriptedNode::start(|asked| {
        if String::from_utf8_lossy(&asked.body).contains("Bad") {
            Reply::status(422, "Unprocessable Entity", "", r#"{"code":601,"message":"generatorURL"}"#)
        } else {
            healthy(asked, 1)
        }
    })
    .await;
    let notifier = Notifier::start(settings(&[peer.url()]));
    for n in 0..50 {
        notifier.fire(&if n == 17 { "Bad".to_owned() } else { format!("Good{n}") }).await;
    }
    eventually("49 are accepted and one is given up", || {
        let sent = total(&notifier.own, "haltwatch_notifications_sent_total");
        let dropped = total(&notifier.own, "haltwatch_notifications_dropped_total");
        ((sent, dropped) == (49.0, 1.0)).then_some(())
    })
    .await;
    eventually("nothing waits", || (total(&notifier.own, "haltwatch_notifications_queue_length") < 0.5).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shutdown_delivers_what_is_pending_and_ends_no_alert() {
    let peer = alertmanager().await;
    let notifier = Notifier::start(settings(&[peer.url()]));
    for n in 0..10 {
        notifier.fire(&format!("Alert{n}")).await;
    }
    assert!(notifier.stop().await);
    let told = alerts(&peer);
    assert_eq!(told.len(), 10);
    assert!(told.iter().all(is_firing));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shutdown_does_not_wait_for_a_dead_peer_for_ever() {
    let hanging = ScriptedNode::always(Reply::Hang).await;
    let mut settings = settings(&[hanging.url()]);
    settings.timeout = Duration::from_secs(60);
    let notifier = Notifier::start(settings);
    notifier.fire("NodeOffline").await;
    eventually("it is being told", || (!posts(&hanging).is_empty()).then_some(())).await;
    let watch = Clock.stopwatch();
    assert!(notifier.stop().await);
    assert!((5..7).contains(&watch.elapsed().as_secs()), "{:?}", watch.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_series_of_a_peer_is_there_from_the_start() {
    let peer = alertmanager().await;
    let notifier = Notifier::start(settings(&[format!("{}/SECRET", peer.url())]));
    let shown = format!("{}/…", peer.url());
    for name in [
        "haltwatch_notifications_attempts_total",
        "haltwatch_notifications_sent_total",
        "haltwatch_notifications_errors_total",
        "haltwatch_notifications_dropped_total",
        "haltwatch_notifications_queue_length",
        "haltwatch_notifications_oldest_unacked_timestamp_seconds",
        "haltwatch_alertmanager_clock_skew_seconds",
    ] {
        assert_eq!(series(&notifier.own, name), [(shown.clone(), 0.0)], "{name}");
    }
    assert_eq!(series(&notifier.own, "haltwatch_notifications_queue_capacity"), [(shown, 10_000.0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_of_a_peer_is_measured_from_its_answers() {
    let peer = ScriptedNode::start(|_| {
        let ahead = std::time::UNIX_EPOCH
            + Duration::from_millis(u64::try_from(Clock.now().wall.millis()).unwrap())
            + Duration::from_secs(600);
        Reply::status(200, "OK", &format!("date: {}\r\n", httpdate::fmt_http_date(ahead)), "")
    })
    .await;
    let mut settings = settings(&[peer.url()]);
    settings.resend = Duration::from_millis(100);
    let notifier = Notifier::start(settings);
    notifier.fire("NodeOffline").await;
    alert_number(&peer, 3).await;
    let skew = total(&notifier.own, "haltwatch_alertmanager_clock_skew_seconds");
    assert!((599.0..=601.0).contains(&skew), "{skew}");
    let validity = time(&alert_number(&peer, 3).await, "endsAt").since(Clock.now().wall);
    assert!(Duration::from_secs(890) < validity, "{validity:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_on_one_host_and_port_have_series_of_their_own() {
    let peer = alertmanager().await;
    let notifier = Notifier::start(settings(&[format!("{}/a", peer.url()), format!("{}/b", peer.url())]));
    notifier.fire("NodeOffline").await;
    eventually("both are told", || (alerts(&peer).len() == 2).then_some(())).await;
    eventually("each counts for itself", || {
        let sent = series(&notifier.own, "haltwatch_notifications_sent_total");
        let shown = format!("{}/…", peer.url());
        (sent == [(shown.clone(), 1.0), (format!("{shown} (2)"), 1.0)]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_removed_gets_a_last_chance_at_once_and_leaves_no_series() {
    let peer = ScriptedNode::always(Reply::status(503, "Unavailable", "", "")).await;
    let notifier = Notifier::start(settings(&[peer.url()]));
    notifier.fire("NodeOffline").await;
    eventually("it refuses a few times", || (2 < posts(&peer).len()).then_some(())).await;
    peer.rewrite(|asked| healthy(asked, 1));
    let before = posts(&peer).len();
    let watch = Clock.stopwatch();
    notifier.running.reconfigure(None).await;
    eventually("it takes what waited", || (before < posts(&peer).len()).then_some(())).await;
    assert!(watch.elapsed() < Duration::from_millis(900), "sooner than its pause would end: {:?}", watch.elapsed());
    assert!(notifier.own.registry.gather().iter().all(|family| !family.name().contains("notifications")));
    assert!(notifier.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_stays_keeps_its_state_under_other_terms() {
    let peer = alertmanager().await;
    let notifier = Notifier::start(settings(&[peer.url()]));
    notifier.fire("NodeOffline").await;
    eventually("it is told", || (alerts(&peer).len() == 1).then_some(())).await;
    let mut headers = http::HeaderMap::new();
    headers.insert("authorization", "Bearer new".parse().unwrap());
    let mut other = settings(&[peer.url()]);
    other.peers = other.peers.into_iter().map(|endpoint| endpoint.with_headers(headers.clone())).collect();
    other.resend = Duration::from_secs(1);
    notifier.running.reconfigure(Some(other)).await;
    assert_eq!(posts(&peer).len(), 1, "it knows already what it was told");
    eventually("it is told again as often as is wanted now", || (1 < alerts(&peer).len()).then_some(())).await;
    let head = posts(&peer)[1].head.to_lowercase();
    assert!(head.contains("\r\nauthorization: bearer new\r\n"), "{head}");
}
