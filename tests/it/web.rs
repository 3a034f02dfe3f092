//! The HTTP server through its socket: routes, limits, abuse, storms.

use std::{
    collections::BTreeMap,
    io::Read,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use haltwatch::{
    engine::{
        finding::Finding,
        settings::Cadence,
        snapshot::{AlertState, NetworkPhase, NodeView, Snapshot, Subject},
    },
    model::{AlertName, Height, Level, NetworkIndex},
    output::{
        http::{ReloadRequest, Server, Settings, Shared, bind},
        own::OwnMetrics,
        runbook::Runbooks,
    },
    supervisor::{PanicCounter, Supervisor},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};

use crate::sample;

/// Nothing here takes long; what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Web {
    pub address: SocketAddr,
    pub server: Server,
    pub shared: Shared,
    pub supervisor: Supervisor,
    reloads: mpsc::Receiver<ReloadRequest>,
}

pub fn start(settings: &Settings, snapshot: Option<Snapshot>) -> Web {
    let (reload, reloads) = mpsc::channel(1);
    let (probe, _) = mpsc::channel(1);
    let runbooks = Arc::new(ArcSwap::from_pointee(Runbooks::served_at("http://watch.example.org:10019")));
    let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
    let shared = Shared { snapshot, own: OwnMetrics::new(), reload, probe, silences: mpsc::channel(1).0, runbooks };
    let server = bind(settings).unwrap();
    let address = server.addresses()[0];
    let mut supervisor = Supervisor::default();
    let (for_task, shutdown, running) = (shared.clone(), supervisor.shutdown(), server.clone());
    supervisor.spawn("http", PanicCounter::default(), move || running.clone().run(for_task.clone(), shutdown.clone()));
    Web { address, server, shared, supervisor, reloads }
}

pub fn settings() -> Settings {
    Settings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        lifecycle: true,
        max_connections: 64,
        ..Settings::default()
    }
}

pub fn started() -> Web {
    start(&settings(), Some(sample::snapshot()))
}

pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Sends `request` and reads until the server closes.
async fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server answers and closes");
    answer
}

pub fn parse(answer: &[u8]) -> Answer {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Answer { status, headers: lines.filter_map(header).collect(), body: answer[end + 4..].to_vec() }
}

pub async fn request(web: &Web, method: &str, path: &str, headers: &str) -> Answer {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    parse(&exchange(web.address, request.as_bytes()).await)
}

/// A request with a body to any server.
pub async fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    parse(&exchange(address, (head + body).as_bytes()).await)
}

pub async fn get(web: &Web, path: &str) -> Answer {
    request(web, "GET", path, "").await
}

#[tokio::test]
async fn a_scrape_gets_the_format_it_asked_for() {
    let web = started();
    let plain = get(&web, "/metrics").await;
    assert_eq!((plain.status, &*plain.headers["content-type"]), (200, "text/plain; version=0.0.4; charset=utf-8"));
    assert!(plain.text().contains("\nhaltwatch_node_up{network=\"main\",node=\"val-1\"} 1\n"));
    let accept = "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2\r\n";
    let open = request(&web, "GET", "/metrics", accept).await;
    assert_eq!(open.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(open.headers["vary"], "accept, accept-encoding");
    assert!(open.text().ends_with("\n# EOF\n"));
}

#[tokio::test]
async fn a_compressed_scrape_unpacks_to_the_same_series() {
    let web = started();
    let packed = request(&web, "GET", "/metrics", "Accept-Encoding: gzip\r\n").await;
    assert_eq!(packed.headers["content-encoding"], "gzip");
    assert_eq!(packed.headers["content-length"], packed.body.len().to_string());
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_string(&mut text).unwrap();
    let plain = get(&web, "/metrics").await;
    let nodes =
        |text: &str| text.lines().filter(|line| line.contains("haltwatch_n")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(nodes(&text), nodes(plain.text()));
    assert!(50 < nodes(&text).len());
}

#[tokio::test]
async fn a_scrape_sees_the_snapshot_of_its_own_time() {
    let web = started();
    assert!(
        get(&web, "/metrics").await.text().contains("haltwatch_node_height{network=\"main\",node=\"val-1\"} 100\n")
    );
    let mut snapshot = sample::snapshot();
    snapshot.nodes[0] = sample::live(haltwatch::model::NodeState::Live, sample::facts(101, ""));
    web.shared.snapshot.store(Arc::new(Some(snapshot)));
    assert!(
        get(&web, "/metrics").await.text().contains("haltwatch_node_height{network=\"main\",node=\"val-1\"} 101\n")
    );
}

#[tokio::test]
async fn dead_nodes_never_fail_a_scrape() {
    let web = started();
    for dead in 0..16_u32 {
        let mut snapshot = sample::snapshot();
        for (index, node) in snapshot.nodes.iter_mut().enumerate().filter(|(index, _)| dead >> index & 1 == 1) {
            *node = if index % 2 == 0 { sample::dead() } else { NodeView::default() };
        }
        web.shared.snapshot.store(Arc::new(Some(snapshot)));
        let answer = get(&web, "/metrics").await;
        let heights = answer.text().lines().filter(|line| line.starts_with("haltwatch_node_height{")).count();
        let silent = (dead | 0b0010).count_ones() as usize;
        assert_eq!((answer.status, heights), (200, 4 - silent), "nodes {dead:04b} are dead");
    }
}

#[tokio::test]
async fn before_the_first_step_it_is_healthy_but_not_ready() {
    let web = start(&settings(), None);
    assert_eq!(get(&web, "/-/healthy").await.status, 200);
    assert_eq!(get(&web, "/-/ready").await.status, 503);
    assert_eq!(get(&web, "/metrics").await.status, 200);
    assert_eq!(get(&web, "/").await.status, 200);
    assert_eq!(get(&web, "/api/v1/alerts").await.status, 503);
    web.shared.snapshot.store(Arc::new(Some(sample::snapshot())));
    assert_eq!(get(&web, "/-/ready").await.status, 200);
}

#[tokio::test]
async fn wrong_paths_and_methods_are_told_apart() {
    let web = started();
    assert_eq!(get(&web, "/nothing").await.status, 404);
    assert_eq!(get(&web, "/metrics/").await.status, 404);
    for (method, path, allow) in [
        ("POST", "/metrics", "GET, HEAD"),
        ("DELETE", "/api/v1/alerts", "GET, HEAD"),
        ("PUT", "/", "GET, HEAD"),
        ("GET", "/-/reload", "POST, PUT"),
    ] {
        let answer = request(&web, method, path, "Content-Length: 0\r\n").await;
        assert_eq!((answer.status, &*answer.headers["allow"]), (405, allow), "{method} {path}");
    }
}

#[tokio::test]
async fn head_tells_the_length_and_sends_nothing() {
    let web = started();
    for path in ["/-/healthy", "/", "/style.css", "/metrics"] {
        let answer = request(&web, "HEAD", path, "").await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
        assert_ne!(answer.headers["content-length"], "0", "{path}");
    }
}

#[tokio::test]
async fn oversized_requests_are_refused() {
    let web = started();
    let long = "x".repeat(9 * 1024);
    assert_eq!(get(&web, &format!("/metrics?{long}")).await.status, 414);
    let headers = format!("X-Long: {long}\r\nX-Longer: {long}\r\n");
    assert_eq!(request(&web, "GET", "/metrics", &headers).await.status, 431);
    let many = "X: 1\r\n".repeat(100);
    assert_eq!(request(&web, "GET", "/metrics", &many).await.status, 431);
    let body = "Content-Length: 100000\r\n";
    assert_eq!(request(&web, "GET", "/metrics", body).await.status, 413);
    assert_eq!(request(&web, "POST", "/-/reload", body).await.status, 413);
}

#[tokio::test]
async fn what_is_not_http_is_refused_without_harm() {
    let web = started();
    for garbage in [&b"\x16\x03\x01\x02\x00\x01"[..], b"GET\r\n\r\n", b"\0\0\0\0\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"] {
        let answer = exchange_closing(web.address, garbage).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4") || answer.starts_with(b"HTTP/1.0 4"));
    }
    assert_eq!(get(&web, "/-/healthy").await.status, 200);
}

/// Sends, closes the sending side and reads what comes.
async fn exchange_closing(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(request).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server closes");
    answer
}

#[tokio::test]
async fn a_client_that_trickles_its_headers_is_cut_off_and_others_are_served() {
    let web = started();
    let mut slow = TcpStream::connect(web.address).await.unwrap();
    let trickle = async {
        let mut sent = 0;
        for byte in b"GET /metrics HTTP/1.1\r\nX: ".iter().chain(std::iter::repeat(&b'x')) {
            if slow.write_all(&[*byte]).await.is_err() {
                return sent;
            }
            sent += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        sent
    };
    let others = async {
        for _ in 0..20 {
            assert_eq!(get(&web, "/-/healthy").await.status, 200);
        }
    };
    let (cut, ()) = tokio::join!(timeout(PATIENCE, trickle), others);
    assert!(cut.expect("it is cut off") < 100);
}

#[tokio::test]
async fn idle_connections_give_way_to_newcomers() {
    let web = start(&Settings { max_connections: 4, ..settings() }, Some(sample::snapshot()));
    let mut idlers = Vec::new();
    for _ in 0..4 {
        let mut idler = TcpStream::connect(web.address).await.unwrap();
        idler.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(0 < idler.read(&mut [0; 1024]).await.unwrap());
        idlers.push(idler);
    }
    for _ in 0..8 {
        let answer = timeout(Duration::from_secs(2), get(&web, "/-/healthy")).await.expect("somebody makes room");
        assert_eq!(answer.status, 200);
    }
    // The one that was idle for longest is the one that had to go.
    let closed = timeout(PATIENCE, idlers[0].read(&mut [0; 1024])).await.expect("closed");
    assert!(matches!(closed, Ok(0) | Err(_)));
}

#[tokio::test]
async fn clients_that_never_finish_asking_cannot_keep_others_out() {
    let web = start(&Settings { max_connections: 8, ..settings() }, Some(sample::snapshot()));
    let mut holders = Vec::new();
    for _ in 0..8 {
        let mut holder = TcpStream::connect(web.address).await.unwrap();
        holder.write_all(b"GET /metrics HTTP/1.1\r\nX: ").await.unwrap();
        holders.push(holder);
    }
    let answer = timeout(Duration::from_secs(4), get(&web, "/-/healthy")).await.expect("before they time out");
    assert_eq!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_scrapes_is_answered_in_full() {
    // Far more at once than may be open: those who wait must not push out those who are about to ask.
    let web = Arc::new(start(&Settings { max_connections: 32, ..settings() }, Some(sample::snapshot())));
    let mut scrapes = tokio::task::JoinSet::new();
    for _ in 0..500 {
        let web = Arc::clone(&web);
        scrapes.spawn(async move { get(&web, "/metrics").await });
    }
    let mut answers = 0;
    while let Some(answer) = scrapes.join_next().await {
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.headers["content-length"].parse()), (200, Ok(answer.body.len())));
        answers += 1;
    }
    assert_eq!(answers, 500);
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let web = started();
    let mut stream = TcpStream::connect(web.address).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 2048];
        let length = timeout(PATIENCE, stream.read(&mut answer)).await.unwrap().unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200 OK"));
    }
}

#[tokio::test]
async fn shutdown_ends_idle_connections_at_once() {
    let web = started();
    let mut idler = TcpStream::connect(web.address).await.unwrap();
    idler.write_all(b"GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(0 < idler.read(&mut [0; 1024]).await.unwrap());
    assert!(web.supervisor.stop(Duration::from_secs(2)).await, "the server stops by itself");
    assert_eq!(idler.read(&mut [0; 16]).await.unwrap(), 0);
    assert!(TcpStream::connect(web.address).await.is_err());
}

#[tokio::test]
async fn reload_tells_its_outcome() {
    let mut web = started();
    let outcomes = Arc::new(Mutex::new(vec![Err("config.toml:3:1: unknown key".to_owned()), Ok(())]));
    let mut reloads = std::mem::replace(&mut web.reloads, mpsc::channel(1).1);
    let left = Arc::clone(&outcomes);
    let serve = async {
        while let Some(request) = reloads.recv().await {
            let outcome = left.lock().unwrap().pop().unwrap();
            request.send(outcome).unwrap();
        }
    };
    let ask = async {
        assert_eq!(request(&web, "POST", "/-/reload", "").await.status, 200);
        let failed = request(&web, "PUT", "/-/reload", "Content-Length: 0\r\n").await;
        assert_eq!((failed.status, failed.text()), (500, "config.toml:3:1: unknown key\n"));
        let forged = request(&web, "POST", "/-/reload", "Origin: http://evil.example\r\n").await;
        assert_eq!(forged.status, 403);
    };
    tokio::select! { () = serve => unreachable!(), () = ask => {} }
    assert!(outcomes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn reload_is_refused_unless_allowed() {
    let web = start(&Settings { lifecycle: false, ..settings() }, Some(sample::snapshot()));
    assert_eq!(request(&web, "POST", "/-/reload", "").await.status, 403);
}

#[tokio::test]
async fn requests_are_counted_by_handler_and_code() {
    let web = started();
    get(&web, "/-/healthy").await;
    get(&web, "/no/such/path").await;
    request(&web, "POST", "/api/v1/rules", "").await;
    let text = get(&web, "/metrics").await;
    for line in [
        "haltwatch_http_requests_total{code=\"200\",handler=\"healthy\"} 1\n",
        "haltwatch_http_requests_total{code=\"404\",handler=\"unknown\"} 1\n",
        "haltwatch_http_requests_total{code=\"405\",handler=\"rules\"} 1\n",
    ] {
        assert!(text.text().contains(line), "{line}");
    }
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let web = started();
    let error = bind(&Settings { listen: vec![web.address], ..settings() }).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot listen on {}: ", web.address)), "{error}");
}

#[tokio::test]
async fn several_addresses_are_served_ipv6_included() {
    let listen = vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
    let server = bind(&Settings { listen, ..settings() }).unwrap();
    let addresses = server.addresses();
    let mut supervisor = Supervisor::default();
    let (reload, _reloads) = mpsc::channel(1);
    let (probe, _) = mpsc::channel(1);
    let snapshot = Arc::new(ArcSwap::from_pointee(None));
    let shared = Shared {
        snapshot,
        own: OwnMetrics::new(),
        reload,
        probe,
        silences: mpsc::channel(1).0,
        runbooks: Arc::default(),
    };
    let shutdown = supervisor.shutdown();
    supervisor.spawn("http", PanicCounter::default(), move || server.clone().run(shared.clone(), shutdown.clone()));
    for address in addresses {
        let answer = exchange(address, b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert_eq!(parse(&answer).status, 200, "{address}");
    }
}

// ---- the page

#[tokio::test]
async fn the_page_shows_everything_and_loads_nothing_from_elsewhere() {
    let web = started();
    let page = get(&web, "/").await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = &page.headers["content-security-policy"];
    assert!(policy.contains("default-src 'none'; style-src 'self'") && policy.contains("frame-ancestors 'none'"));
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    for words in
        ["halted", "idle", "NetworkHalted", "muted by NetworkHalted", "val-2", "offline", "Geth/v1.13.5", "watch-1"]
    {
        assert!(page.text().contains(words), "{words}");
    }
    assert!(!page.text().contains("<script") && !page.text().contains("style=") && !page.text().contains("//"));
    let style = get(&web, "/style.css").await;
    assert_eq!((style.status, &*style.headers["content-type"]), (200, "text/css; charset=utf-8"));
}

#[tokio::test]
async fn the_page_of_very_many_networks_stays_short_and_begins_with_those_in_trouble() {
    let mut snapshot = sample::snapshot();
    let mut names = sample::settings();
    for number in 0..1000 {
        names.networks.insert(0, sample::network(&format!("well-{number}"), Cadence::OnDemand));
        snapshot.networks.insert(0, snapshot.networks[snapshot.networks.len() - 1].clone());
    }
    for node in &mut names.nodes {
        node.network.0 += 1000;
    }
    snapshot.alerts.clear();
    snapshot.settings = Arc::new(names);
    let page = get(&start(&settings(), Some(snapshot)), "/").await;
    let cards: Vec<&str> = page.text().split("<h3>").skip(1).collect();
    assert_eq!(cards.len(), 200);
    assert!(cards[0].starts_with("main "), "{}", cards[0]);
    assert!(page.text().contains("802 more: see the API."));
}

/// A network that makes blocks can be in trouble all the same: its card must not be green.
#[tokio::test]
async fn a_network_in_trouble_says_which_on_its_card_and_comes_first() {
    let mut snapshot = sample::snapshot();
    let ledger = Subject::Network(NetworkIndex(1));
    let split =
        Finding::BranchesGrow { height: Height(7), larger: 3, smaller: 2, length: 6, lasting: Duration::from_secs(60) };
    let planned = Finding::Planned { kind: "new disks".into(), until: sample::now().wall };
    snapshot.alerts = vec![
        sample::alert(AlertName::NetworkSplit, ledger, Level::L2, AlertState::Firing, split),
        sample::alert(AlertName::PlannedHalt, ledger, Level::L4, AlertState::Firing, planned),
    ];
    snapshot.networks[0].phase = NetworkPhase::Live;
    let page = get(&start(&settings(), Some(snapshot)), "/").await;
    let cards: Vec<&str> = page.text().split("<article class=").skip(1).collect();
    assert!(cards[0].starts_with("\"error\"><h3>ledger "), "{}", cards[0]);
    assert!(cards[0].contains("NetworkSplit: two branches differ from block 7 on"), "{}", cards[0]);
    assert!(cards[0].contains("PlannedHalt: announced: new disks"), "{}", cards[0]);
    assert!(cards[1].starts_with("\"live\"><h3>main ") && cards[1].contains("98, 2s behind"), "{}", cards[1]);
}

#[tokio::test]
async fn nothing_a_node_says_becomes_markup() {
    let web = started();
    let mut snapshot = sample::snapshot();
    let hostile = "<script>alert(1)</script>\" onx=1 '&<svg/onload=x> \u{202e}";
    snapshot.nodes[0] = sample::live(haltwatch::model::NodeState::Live, sample::facts(100, hostile));
    snapshot.nodes[1].error = Some((haltwatch::observation::ErrorKind::Rpc, hostile.into()));
    let mut names = sample::settings();
    names.networks[0].name = hostile.into();
    names.nodes[2].name = hostile.into();
    snapshot.settings = Arc::new(names);
    web.shared.snapshot.store(Arc::new(Some(snapshot)));
    let page = get(&web, "/").await;
    let text = page.text();
    assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot; onx=1 &#39;&amp;&lt;svg"));
    assert!(!text.contains("<script") && !text.contains("<svg") && !text.contains("\" onx"));
}

#[tokio::test]
async fn every_documented_path_is_served_with_the_documented_methods() {
    let web = started();
    let rows = include_str!("../../docs/http-api.md").lines().filter_map(|line| line.strip_prefix("| `/"));
    let mut seen = 0;
    for row in rows {
        let (path, rest) = row.split_once("` | ").unwrap();
        let documented = rest.split(" | ").next().unwrap();
        let refused = request(&web, "OPTIONS", &format!("/{path}"), "").await;
        assert_eq!((refused.status, &*refused.headers["allow"]), (405, documented), "/{path}");
        seen += 1;
    }
    assert_eq!(seen, 17);
}
