//! The web server in front of the programs that talk to exporters: a real Prometheus with TLS and a password, curl with a
//! client certificate, systemd with its sockets, and clients that mean no good.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::{
    bench::Bench,
    haltwatch::{self, Config, Haltwatch, Node},
    harness::{
        http, port,
        process::{self, Process},
        wait,
    },
};

/// Clients that hold connections in bad faith.
const ABUSERS: usize = 1000;

/// Time within which health must be told while they are at it. A build without optimization on a busy machine gets more.
const PROMPT: Duration = if cfg!(debug_assertions) { Duration::from_millis(250) } else { Duration::from_millis(50) };

/// A folder with the papers of an authority, a server called `localhost` and a client.
fn papers(bench: &Bench) -> Result<PathBuf> {
    let folder = bench.log("papers").with_extension("");
    fs::create_dir_all(&folder)?;
    // Each has a name of its own: what is signed by its own name counts as signed by itself.
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    fs::write(folder.join("ca.crt"), authority.pem())?;
    for (name, subject) in [("server", "localhost"), ("client", "scraper.example.org")] {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![subject.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &authority)?;
        fs::write(folder.join(format!("{name}.crt")), certificate.pem())?;
        fs::write(folder.join(format!("{name}.key")), key.serialize_pem())?;
    }
    Ok(folder)
}

/// A daemon with a web configuration.
fn guarded(bench: &Bench, file: &Path, keys: &str) -> Result<Haltwatch> {
    let keys = format!("config_file = \"{}\"\n{keys}", file.display());
    let config = Config::default().web(&keys).network("dark", None, "", &[Node::rpc("dead", port::free())]);
    let mut daemon = Haltwatch::launch(&config, &bench.log("haltwatch"))?;
    daemon.listens()?;
    Ok(daemon)
}

/// Prometheus is content with the right password and is refused with a wrong one; curl needs a client certificate.
pub fn a_real_prometheus_scrapes_with_tls_and_a_password(bench: &Bench) -> Result<String> {
    let folder = papers(bench)?;
    let file = folder.join("web.yml");
    let tls = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
    let hash = bcrypt::hash("open sesame", 10).ok().context("no hash")?;
    fs::write(&file, format!("{tls}basic_auth_users:\n  prometheus: {hash}\n"))?;
    let daemon = guarded(bench, &file, "")?;
    let job = |name: &str, password: &str| {
        format!(
            "  - job_name: {name}\n    scheme: https\n    tls_config: {{ca_file: {ca}, server_name: localhost}}\n    \
             basic_auth: {{username: prometheus, password: '{password}'}}\n    \
             static_configs:\n      - targets: ['{address}']\n",
            ca = folder.join("ca.crt").display(),
            address = daemon.address
        )
    };
    let config = format!(
        "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n{}{}",
        job("right", "open sesame"),
        job("wrong", "guess")
    );
    let prometheus = bench.prometheus_with(&config)?;
    let up = |job: &str| -> Result<Option<f64>> {
        Ok(prometheus.query(&format!("up{{job=\"{job}\"}}"))?.first().map(|(_, up)| *up))
    };
    let error = wait::eventually("one target is up, the other unauthorized", Duration::from_secs(30), || {
        let (right, wrong) = (up("right")?, up("wrong")?);
        let error = prometheus.targets()?.remove("wrong").context("no target")?.1;
        let seen = right == Some(1.0) && wrong == Some(0.0) && error.contains("401");
        Ok(seen.then_some(error))
    })?;
    let client = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  \
                  client_allowed_sans: [scraper.example.org]\n";
    fs::write(&file, format!("{tls}{client}"))?;
    let (with, without) = wait::eventually("the new file is in force", Duration::from_secs(10), || {
        let with = curl(bench, daemon.address, &folder, true)?;
        let without = curl(bench, daemon.address, &folder, false)?;
        Ok((with == "200" && without != "401").then_some((with, without)))
    })?;
    ensure!(without == "000", "curl without a certificate got {without}");
    Ok(format!("up is 1 with the password, 0 with a wrong one ({error}); curl with its certificate: {with}"))
}

/// The status that curl gets from `/metrics`, `000` for none.
fn curl(bench: &Bench, address: SocketAddr, folder: &Path, certificate: bool) -> Result<String> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "5"]);
    command.arg("--cacert").arg(folder.join("ca.crt"));
    if certificate {
        command.arg("--cert").arg(folder.join("client.crt")).arg("--key").arg(folder.join("client.key"));
    }
    command.args(["--resolve", &format!("localhost:{}:{}", address.port(), address.ip())]);
    command.arg(format!("https://localhost:{}/metrics", address.port()));
    let log = bench.log("curl");
    let mut process = Process::start(&mut command, &log)?;
    process.exit_within(Duration::from_secs(10))?.context("curl does not end")?;
    Ok(fs::read_to_string(&log)?)
}

/// While a thousand clients send a byte a second, shake half a hand or send far too much, health is told at once, with
/// room for all of them and without.
pub fn health_is_told_at_once_under_abuse(bench: &Bench) -> Result<String> {
    let mut measured = Vec::new();
    for limit in [4096, 512] {
        let file = bench.log("web").with_extension("yml");
        fs::write(&file, "")?;
        let daemon = guarded(bench, &file, &format!("max_connections = {limit}\n"))?;
        let begin = Instant::now();
        let mut abusers = Vec::new();
        for number in 0..ABUSERS {
            let first: &[u8] = [&b"GET /metrics HTTP/1.1\r\nX: "[..], b"\x16\x03\x01\x02\x00", b""][number % 3];
            abusers.push(abuse(daemon.address, first)?);
        }
        let mut times = Vec::new();
        while begin.elapsed() < Duration::from_secs(8) {
            for stream in &mut abusers {
                let _ = stream.write_all(b"x");
            }
            oversized(daemon.address)?;
            for _ in 0..20 {
                times.push(health(daemon.address)?);
                wait::pass(Duration::from_millis(40));
            }
        }
        times.sort_unstable();
        let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
        ensure!(
            worst < PROMPT,
            "limit {limit}: the slowest answer took {worst:?} of {} (median {median:?})",
            times.len()
        );
        // By now every one of them has had its five seconds.
        let open = abusers.iter_mut().map(is_closed).filter(|closed| !closed).count();
        ensure!(open == 0, "limit {limit}: {open} of {ABUSERS} are still open");
        measured.push(format!("limit {limit}: median {median:?}, worst {worst:?} of {}", times.len()));
    }
    Ok(measured.join("; "))
}

fn abuse(address: SocketAddr, first: &[u8]) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nonblocking(true)?;
    let _ = stream.write_all(first);
    Ok(stream)
}

fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 4096]) {
        Ok(0) => true,
        Ok(_) => is_closed(stream),
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

/// A head of one megabyte, of which the server must not take more than its limit.
fn oversized(address: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    let head = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let _ = stream.write_all(head.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    ensure!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "an oversized head is answered");
    Ok(())
}

fn health(address: SocketAddr) -> Result<Duration> {
    let begin = Instant::now();
    http::get(address, "/-/healthy", &[])?.ok()?;
    Ok(begin.elapsed())
}

/// `systemd-socket-activate` opens the port, starts the daemon at the first connection and hands the socket over.
pub fn sockets_of_systemd_keep_the_port_over_restarts(bench: &Bench) -> Result<String> {
    let (address, second) = (port::free(), port::free());
    let file = bench.log("haltwatch").with_extension("toml");
    let node = port::free();
    let text = format!(
        "[[network]]\nname = \"dark\"\nfamily = \"evm\"\n[[network.node]]\nname = \"dead\"\nurl = \"http://{node}\"\n"
    );
    fs::write(&file, text)?;
    let mut command = Command::new("systemd-socket-activate");
    command.arg(format!("--listen={address}")).arg(format!("--listen={second}"));
    command.arg(haltwatch::binary()).arg("run").arg(format!("--config.file={}", file.display()));
    let mut process = Process::start(&mut command, &bench.log("activated"))?;
    wait::eventually("it answers on the first socket", Duration::from_secs(20), || {
        Ok(http::get(address, "/-/healthy", &[]).and_then(http::Answer::ok).ok())
    })?;
    http::get(second, "/-/healthy", &[])?.ok()?;
    process.must_run()?;
    let log = process::tail(process.log());
    let told = [address, second].iter().all(|address| log.contains(&format!("Listening on http://{address}")));
    ensure!(told, "it says: {log}");
    Ok(format!("both sockets of systemd answer: {address}, {second}"))
}
