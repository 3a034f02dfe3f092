//! The HTTP server as exporters have it: TLS, client certificates, users, rate limit, headers, paths and limits, all
//! through its socket.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use haltwatch::output::http::{Settings, bind};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

use crate::{
    sample,
    web::{Answer, Web, get, parse, request, settings, start},
    web_config::Folder,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Who signs, and what it signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for `names` and its key, as PEM.
    fn issue(&self, names: Vec<SanType>) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }
}

fn dns(name: &str) -> Vec<SanType> {
    vec![SanType::DnsName(name.try_into().unwrap())]
}

/// Writes certificate, key and authority of a server called `localhost`.
fn equip(folder: &Folder, authority: &Authority) {
    let (certificate, key) = authority.issue(dns("localhost"));
    folder.write("server.crt", &certificate);
    folder.write("server.key", &key);
    folder.write("ca.crt", &authority.pem());
}

const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

fn serve(folder: &Folder, text: &str) -> Web {
    let file = folder.write("web.yml", text);
    start(&Settings { config_file: Some(file), ..settings() }, Some(sample::snapshot()))
}

/// A client that trusts `authority` and shows `identity`.
fn client(authority: &Authority, identity: Option<&(String, String)>) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    }
}

/// The status of `/-/healthy` over TLS, or why there is none.
async fn healthy(address: SocketAddr, config: ClientConfig) -> Result<u16, String> {
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(|e| e.to_string())?;
    let request = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.map_err(|e| e.to_string())?;
    let mut answer = Vec::new();
    // A server that refuses a certificate of TLS 1.3 says so only now.
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server closes");
    if answer.is_empty() { Err(format!("{read:?}")) } else { Ok(parse(&answer).status) }
}

#[tokio::test]
async fn connections_are_encrypted_and_nothing_else_is_answered() {
    let (folder, authority) = (Folder::new(), Authority::new());
    equip(&folder, &authority);
    let web = serve(&folder, TLS);
    assert_eq!(healthy(web.address, client(&authority, None)).await, Ok(200));
    assert!(healthy(web.address, client(&Authority::new(), None)).await.is_err(), "the client does not trust it");
    let mut plain = TcpStream::connect(web.address).await.unwrap();
    plain.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, plain.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
    // Both that failed are counted.
    assert_eq!(web.shared.own.web.tls_handshake_failures.get(), 2);
}

#[tokio::test]
async fn every_policy_on_client_certificates_does_what_it_says() {
    let (folder, authority) = (Folder::new(), Authority::new());
    equip(&folder, &authority);
    let ours = authority.issue(dns("scraper.example.org"));
    let foreign = Authority::new().issue(dns("scraper.example.org"));
    for (policy, none, known, unknown) in [
        ("NoClientCert", true, true, true),
        ("RequestClientCert", true, true, true),
        ("RequireAnyClientCert", false, true, true),
        ("VerifyClientCertIfGiven", true, true, false),
        ("RequireAndVerifyClientCert", false, true, false),
    ] {
        let ca = if policy.contains("Verify") { "  client_ca_file: ca.crt\n" } else { "" };
        let web = serve(&folder, &format!("{TLS}  client_auth_type: {policy}\n{ca}"));
        for (identity, admitted) in [(None, none), (Some(&ours), known), (Some(&foreign), unknown)] {
            let outcome = healthy(web.address, client(&authority, identity)).await;
            assert_eq!(outcome == Ok(200), admitted, "{policy}, {:?}: {outcome:?}", identity.is_some());
        }
    }
}

#[tokio::test]
async fn only_clients_with_an_allowed_name_are_let_in() {
    let (folder, authority) = (Folder::new(), Authority::new());
    equip(&folder, &authority);
    let web = serve(
        &folder,
        &format!(
            "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  \
             client_allowed_sans: [a.example.org, 192.0.2.7, 'spiffe://example.org/a', me@example.org]\n"
        ),
    );
    let uri = vec![SanType::URI("spiffe://example.org/a".try_into().unwrap())];
    let email = vec![SanType::Rfc822Name("me@example.org".try_into().unwrap())];
    for (names, admitted) in [
        (dns("a.example.org"), true),
        (vec![SanType::IpAddress("192.0.2.7".parse().unwrap())], true),
        (uri, true),
        (email, true),
        (dns("b.example.org"), false),
        (dns("*.example.org"), false),
        (Vec::new(), false),
    ] {
        let shown = format!("{names:?}");
        let identity = authority.issue(names);
        let outcome = healthy(web.address, client(&authority, Some(&identity))).await;
        assert_eq!(outcome == Ok(200), admitted, "{shown}: {outcome:?}");
    }
}

#[tokio::test]
async fn versions_outside_the_range_are_refused() {
    let (folder, authority) = (Folder::new(), Authority::new());
    equip(&folder, &authority);
    let only = |version: &'static rustls::SupportedProtocolVersion| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        builder.with_root_certificates(roots).with_no_client_auth()
    };
    let (old, new) = (&rustls::version::TLS12, &rustls::version::TLS13);
    for (range, old_admitted, new_admitted) in
        [("", true, true), ("  min_version: TLS13\n", false, true), ("  max_version: TLS12\n", true, false)]
    {
        let web = serve(&folder, &format!("{TLS}{range}"));
        assert_eq!(healthy(web.address, only(old)).await == Ok(200), old_admitted, "TLS 1.2, {range:?}");
        assert_eq!(healthy(web.address, only(new)).await == Ok(200), new_admitted, "TLS 1.3, {range:?}");
    }
}

/// Tries until `wanted` holds; the files are looked at every second.
async fn eventually(what: &str, mut wanted: impl AsyncFnMut() -> bool) {
    let tried = async {
        while !wanted().await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, tried).await.unwrap_or_else(|_| panic!("not seen: {what}"));
}

#[tokio::test]
async fn a_renewed_certificate_is_used_without_a_restart() {
    let (folder, old, new) = (Folder::new(), Authority::new(), Authority::new());
    equip(&folder, &old);
    let web = serve(&folder, TLS);
    assert_eq!(healthy(web.address, client(&old, None)).await, Ok(200));
    equip(&folder, &new);
    eventually("the new certificate", async || healthy(web.address, client(&new, None)).await == Ok(200)).await;
    assert!(healthy(web.address, client(&old, None)).await.is_err(), "the old one is gone");
}

fn user(name: &str, password: &str) -> String {
    format!("basic_auth_users:\n  {name}: {}\n", bcrypt::hash(password, 4).unwrap())
}

async fn asked_as(web: &Web, credentials: &str) -> Answer {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
    request(web, "GET", "/metrics", &format!("Authorization: Basic {encoded}\r\n")).await
}

#[tokio::test]
async fn without_name_and_password_there_is_nothing_to_see() {
    let folder = Folder::new();
    let web = serve(&folder, &user("alice", "right"));
    assert_eq!(asked_as(&web, "alice:right").await.status, 200);
    for refused in ["alice:wrong", "bob:right", ":", "alice"] {
        let answer = asked_as(&web, refused).await;
        assert_eq!((answer.status, &*answer.headers["www-authenticate"]), (401, "Basic realm=\"haltwatch\""));
    }
    for path in ["/", "/metrics", "/-/healthy", "/-/reload", "/api/v1/alerts", "/style.css", "/nothing"] {
        let answer = get(&web, path).await;
        assert_eq!((answer.status, answer.text()), (401, "unauthorized\n"), "{path}");
    }
    assert!(asked_as(&web, "alice:right").await.text().contains("{code=\"401\",handler=\"guard\"} 11\n"));
}

#[tokio::test]
async fn no_way_of_asking_gets_past_the_password() {
    let folder = Folder::new();
    let web = serve(&folder, &user("alice", "right"));
    for head in [
        "HEAD /metrics HTTP/1.1",
        "GET http://x/metrics HTTP/1.1",
        "GET //metrics HTTP/1.1",
        "GET /./metrics HTTP/1.1",
        "GET /METRICS HTTP/1.1",
        "GET /%6detrics HTTP/1.1",
        "GET /metrics HTTP/1.0",
        "POST /-/reload HTTP/1.1",
        "CONNECT x:80 HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET /metrics HTTP/1.1\r\nAuthorization: Basic\r\nAuthorization: Basic YWxpY2U6cmlnaHQ=",
        "GET /metrics HTTP/1.1\r\nProxy-Authorization: Basic YWxpY2U6cmlnaHQ=",
        "GET /metrics HTTP/1.1\r\nAuthorization: Basic YWxpY2U6cmlnaHQ=YQ",
    ] {
        let mut stream = TcpStream::connect(web.address).await.unwrap();
        stream.write_all(format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.split(' ').nth(1), Some("401"), "{head}: {answer}");
    }
}

#[tokio::test]
async fn a_new_user_is_known_without_a_restart_and_a_broken_file_changes_nothing() {
    let folder = Folder::new();
    let web = serve(&folder, &user("alice", "right"));
    let good = || web.shared.own.web.config_last_reload_successful.get();
    folder.write("web.yml", &user("bob", "secret"));
    eventually("the new user", async || asked_as(&web, "bob:secret").await.status == 200).await;
    assert_eq!((asked_as(&web, "alice:right").await.status, good()), (401, 1));
    folder.write("web.yml", "basic_auth_users: nobody\n");
    eventually("the broken file", async || good() == 0).await;
    assert_eq!(asked_as(&web, "bob:secret").await.status, 200);
    assert_eq!(get(&web, "/metrics").await.status, 401);
    folder.write("web.yml", "{}\n");
    eventually("an open door", async || get(&web, "/metrics").await.status == 200).await;
    eventually("the good file is told", async || good() == 1).await;
}

#[tokio::test]
async fn a_new_plan_with_a_good_file_ends_the_report_of_a_broken_one() {
    let folder = Folder::new();
    let web = serve(&folder, &user("alice", "right"));
    let good = || web.shared.own.web.config_last_reload_successful.get();
    folder.write("web.yml", "nonsense\n");
    eventually("the broken file", async || good() == 0).await;
    web.server.rebind(&settings()).unwrap();
    eventually("there is nothing wrong any more", async || good() == 1).await;
}

#[tokio::test]
async fn a_new_plan_opens_no_door_whose_file_has_been_emptied() {
    let folder = Folder::new();
    let file = folder.write("web.yml", &user("alice", "right"));
    let guarded = Settings { config_file: Some(file), ..settings() };
    let web = start(&guarded, Some(sample::snapshot()));
    assert_eq!(get(&web, "/metrics").await.status, 401);
    folder.write("web.yml", "");
    web.server.rebind(&Settings { lifecycle: false, ..guarded }).unwrap();
    assert_eq!(get(&web, "/metrics").await.status, 401, "it may be written just now");
}

#[tokio::test]
async fn an_address_that_is_given_up_is_closed_although_a_request_is_under_way() {
    let listen = vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
    let web = start(&Settings { listen, lifecycle: false, ..settings() }, Some(sample::snapshot()));
    let second = web.server.addresses()[1];
    let mut slow = TcpStream::connect(web.address).await.unwrap();
    slow.write_all(b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(200)).await;
    web.server.rebind(&Settings { lifecycle: false, ..settings() }).unwrap();
    eventually("it is closed", async || TcpStream::connect(second).await.is_err()).await;
    slow.write_all(b"hello").await.unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 403", "the request was under way all the time");
}

#[tokio::test]
async fn a_file_that_is_wrong_at_the_start_is_an_error_with_its_text() {
    let folder = Folder::new();
    let file = folder.write("web.yml", "nonsense: 1\n");
    let error = bind(&Settings { config_file: Some(file), ..settings() }).unwrap_err().to_string();
    assert!(error.contains("web.yml:1:1: unknown key"), "{error}");
}

#[tokio::test]
async fn more_requests_than_the_rate_allows_are_refused() {
    let web = serve(&Folder::new(), "rate_limit: {interval: 1h, burst: 3}\n");
    let mut statuses = Vec::new();
    for path in ["/metrics", "/", "/-/healthy", "/metrics", "/nothing"] {
        statuses.push(get(&web, path).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
}

#[tokio::test]
async fn the_operators_headers_replace_ours() {
    let text = "http_server_config:\n  headers:\n    Content-Security-Policy: default-src 'self'\n    \
                Strict-Transport-Security: max-age=60\n    X-Frame-Options: deny\n";
    let folder = Folder::new();
    let web = serve(&folder, text);
    for path in ["/", "/metrics", "/nothing"] {
        let answer = get(&web, path).await;
        assert_eq!(answer.headers["content-security-policy"], "default-src 'self'", "{path}");
        assert_eq!(answer.headers["strict-transport-security"], "max-age=60");
        assert_eq!(
            (&*answer.headers["x-frame-options"], &*answer.headers["x-content-type-options"]),
            ("deny", "nosniff")
        );
    }
    let plain = start(&settings(), None);
    assert!(!get(&plain, "/").await.headers.contains_key("strict-transport-security"));
}

#[tokio::test]
async fn the_site_can_stand_behind_a_prefix() {
    let web = start(
        &Settings { route_prefix: Some("/hw".to_owned()), telemetry_path: "/t".to_owned(), ..settings() },
        Some(sample::snapshot()),
    );
    for (path, wanted) in [("/hw/metrics", 200), ("/hw/t", 200), ("/hw/", 200), ("/hw/-/ready", 200), ("/metrics", 404)]
    {
        assert_eq!(get(&web, path).await.status, wanted, "{path}");
    }
    for path in ["/", "/hw"] {
        let answer = get(&web, path).await;
        assert_eq!((answer.status, &*answer.headers["location"]), (302, "/hw/"), "{path}");
    }
    assert!(!get(&web, "/hw/").await.text().contains("href=\"/"), "links hold behind the prefix");
}

#[tokio::test]
async fn a_reload_may_come_with_a_small_body() {
    let web = start(&Settings { lifecycle: false, ..settings() }, None);
    for (headers, wanted) in [
        ("Content-Length: 0\r\n", 403),
        ("Content-Length: 5\r\n\r\nhello", 403),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", 403),
        ("Content-Length: 100000\r\n", 413),
    ] {
        assert_eq!(request(&web, "POST", "/-/reload", headers).await.status, wanted, "{headers:?}");
    }
    assert_eq!(request(&web, "GET", "/metrics", "Content-Length: 5\r\n\r\nhello").await.status, 413);
}

#[tokio::test]
async fn new_settings_are_followed_without_a_gap() {
    let folder = Folder::new();
    let mut web = start(&settings(), Some(sample::snapshot()));
    let old = web.address;
    let listen = vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
    let file = folder.write("web.yml", &user("alice", "right"));
    let fresh = Settings { listen, config_file: Some(file), ..settings() };
    web.server.rebind(&fresh).unwrap();
    let addresses = web.server.addresses();
    assert_eq!((addresses[0], addresses.len()), (old, 2), "what stays is not opened anew");
    assert_eq!(get(&web, "/metrics").await.status, 401, "and the file is in force");
    web.address = addresses[1];
    assert_eq!(asked_as(&web, "alice:right").await.status, 200);
    let bad = Settings { config_file: Some(folder.write("bad.yml", "x: 1\n")), ..settings() };
    assert!(web.server.rebind(&bad).is_err());
    assert_eq!(web.server.addresses(), addresses, "a wrong file changes nothing");
    web.server.rebind(&Settings { lifecycle: false, ..settings() }).unwrap();
    let gone = async || TcpStream::connect(addresses[1]).await.is_err();
    eventually("the address is free again", gone).await;
    web.address = old;
    assert_eq!(request(&web, "POST", "/-/reload", "").await.status, 403, "and reloads are forbidden now");
}

#[tokio::test]
async fn more_requests_at_a_time_than_allowed_are_refused_but_health_is_told() {
    let web = start(&Settings { max_requests: 1, ..settings() }, Some(sample::snapshot()));
    // A request whose body does not come is one that is being served.
    let mut slow = TcpStream::connect(web.address).await.unwrap();
    slow.write_all(b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n").await.unwrap();
    eventually("the place is taken", async || get(&web, "/metrics").await.status == 503).await;
    assert_eq!((get(&web, "/-/healthy").await.status, get(&web, "/-/ready").await.status), (200, 200));
    drop(slow);
    eventually("the place is free", async || get(&web, "/metrics").await.status == 200).await;
}

/// How long a connection lives on which `first` is sent, then a byte every 100 ms.
async fn life(address: SocketAddr, first: &[u8]) -> Duration {
    let begin = std::time::Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(first).await.unwrap();
    let mut answer = [0; 4096];
    if first.ends_with(b"\r\n\r\nGET ") {
        let _ = stream.read(&mut answer).await;
    }
    let (mut read, mut write) = stream.into_split();
    let trickle = async {
        while write.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    let closed = async { while matches!(read.read(&mut answer).await, Ok(1..)) {} };
    tokio::select! { () = trickle => {}, () = closed => {} }
    begin.elapsed()
}

#[tokio::test]
async fn slow_requests_and_handshakes_are_cut_off_after_five_seconds() {
    let (folder, authority) = (Folder::new(), Authority::new());
    equip(&folder, &authority);
    let encrypted = serve(&folder, TLS);
    let plain = start(&settings(), None);
    let first = b"GET /-/healthy HTTP/1.1\r\nX: ";
    let later = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\nGET ";
    let (first, later, handshake) = tokio::join!(
        life(plain.address, first),
        life(plain.address, later),
        // The head of a TLS record that is to be 512 bytes long.
        life(encrypted.address, b"\x16\x03\x01\x02\x00"),
    );
    for (what, lived) in [("first", first), ("later", later), ("handshake", handshake)] {
        assert!((Duration::from_secs(4)..Duration::from_secs(8)).contains(&lived), "{what}: {lived:?}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_when_its_time_is_over() {
    let web = start(&Settings { read_timeout: Duration::from_secs(1), ..settings() }, None);
    let mut idler = TcpStream::connect(web.address).await.unwrap();
    idler.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 4096];
    assert!(0 < idler.read(&mut answer).await.unwrap());
    let closed = timeout(Duration::from_secs(4), idler.read(&mut answer)).await.expect("closed in time");
    assert!(matches!(closed, Ok(0) | Err(_)));
}

#[tokio::test]
async fn pipelined_requests_are_all_answered() {
    let web = start(&settings(), None);
    let mut stream = TcpStream::connect(web.address).await.unwrap();
    let one = "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n".repeat(49);
    let last = "GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(format!("{one}{last}").as_bytes()).await.unwrap();
    let mut answers = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answers)).await.unwrap().unwrap();
    assert_eq!(String::from_utf8(answers).unwrap().matches("HTTP/1.1 200 OK").count(), 50);
}

/// Slower than this is a failure. The aim is 50 ms; a build without optimization on a busy machine gets more.
const PROMPT: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_told_promptly_in_a_house_full_of_slow_clients() {
    let web = start(&Settings { max_connections: 128, ..settings() }, Some(sample::snapshot()));
    let mut slow = Vec::new();
    for number in 0..300 {
        let mut stream = TcpStream::connect(web.address).await.unwrap();
        // Slow heads, silence, and what looks like a handshake.
        let first: &[u8] = [&b"GET /metrics HTTP/1.1\r\nX: "[..], b"", b"\x16\x03\x01\x02\x00"][number % 3];
        let _ = stream.write_all(first).await;
        slow.push(stream);
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..40 {
        let begin = std::time::Instant::now();
        assert_eq!(get(&web, "/-/healthy").await.status, 200);
        slowest = slowest.max(begin.elapsed());
    }
    assert!(slowest < PROMPT, "{slowest:?}");
}

#[tokio::test]
async fn clients_that_take_no_answers_give_way_to_newcomers() {
    let web = start(&Settings { max_connections: 2, ..settings() }, Some(sample::snapshot()));
    let mut deaf = Vec::new();
    for _ in 0..2 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut client = socket.connect(web.address).await.unwrap();
        // More answers than any buffer holds.
        let asked = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2000);
        let _ = timeout(Duration::from_secs(1), client.write_all(asked.as_bytes())).await;
        deaf.push(client);
    }
    assert_eq!(get(&web, "/-/healthy").await.status, 200);
}
