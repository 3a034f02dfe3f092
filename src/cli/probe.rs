//! `haltwatch probe`: asks one endpoint and says what it is, how it stands, and which configuration would watch it.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

use super::exit;
use crate::{
    chain::{
        Family,
        probe::{Inquiry, probe},
    },
    config::{self, Config, Source},
    model::Endpoint,
    observation::probe::{Address, Report},
    output::probe::{self as told, Thresholds, Told},
};

/// The width that is assumed where nobody tells one.
const USUAL_WIDTH: usize = 100;

/// Longest time a probe may take.
const LONGEST: Duration = Duration::from_secs(600);

/// What is asked of a node without secrets in the command line.
const ABOUT_SECRETS: &str =
    "Arguments can be seen by everybody on this machine (ps). Instead of a key, write ${NAME} for a
variable of the environment or ${file:/path} for a file, in single quotes, as in the configuration:
  haltwatch probe 'https://rpc.example.org/v3/${RPC_KEY}'

Exit codes:
  0   it answered as a node
  1   it did not; the table and the JSON say why
  2   wrong usage
  78  the configuration is wrong";

/// Ask one endpoint and say what it is, how it stands, and which configuration would watch it.
#[derive(Debug, clap::Args)]
#[command(after_help = ABOUT_SECRETS)]
pub struct Arguments {
    /// The URL of a node, or NETWORK/NODE of the configuration.
    #[arg(value_name = "URL|NETWORK/NODE")]
    target: String,
    /// Where NETWORK/NODE stands.
    #[arg(long = "config.file", value_name = "PATH", default_value = "config.toml")]
    config_file: PathBuf,
    /// The family it must be of, instead of finding out.
    #[arg(long, value_name = "FAMILY", value_parser = family())]
    family: Option<Family>,
    /// Where it pushes new heads: try to subscribe there.
    #[arg(long, value_name = "URL")]
    ws: Option<String>,
    /// How long everything together may take.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = timeout)]
    timeout: Duration,
    /// A header to send, may be given more than once.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// A file that holds a token to send as `Authorization: Bearer`.
    #[arg(long, value_name = "PATH")]
    bearer_token_file: Option<PathBuf>,
    /// The cookie file of a Bitcoin Core or a relative of it on this machine.
    #[arg(long, value_name = "PATH", conflicts_with = "bearer_token_file")]
    cookie_file: Option<PathBuf>,
    /// How to tell it.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

/// How a report is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// For tools.
    Json,
}

/// Why nothing was asked: the text and the exit code.
struct Refusal(String, u8);

/// The exit code of wrong usage.
const USAGE: u8 = 2;

/// Probes and reports.
pub async fn run(arguments: &Arguments) -> ExitCode {
    let (inquiry, config) = match inquiry(arguments) {
        Ok(inquiry) => inquiry,
        Err(Refusal(text, code)) => {
            let _ = writeln!(io::stderr(), "{text}");
            return ExitCode::from(code);
        }
    };
    let report = probe(&inquiry).await;
    let thresholds = match &config {
        Some((config, node)) => configured(&report, config, *node),
        None => expected(&report),
    };
    // A reader that has gone away changes nothing about the outcome.
    let _ = match arguments.output {
        Output::Table => table(&report, thresholds.as_ref(), config.is_none()),
        Output::Json => json(&report, thresholds.as_ref()),
    };
    if report.is_node() { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILURE) }
}

/// What to ask, and the configuration with the position of the node in it if that is where it stands.
fn inquiry(arguments: &Arguments) -> Result<(Inquiry, Option<(Config, usize)>), Refusal> {
    if !arguments.target.contains("://") && !arguments.target.contains("${") {
        let (config, position) = find(arguments)?;
        let mut inquiry = Inquiry::of_node(&config.chain.nodes[position], arguments.timeout);
        inquiry.family = arguments.family.or(inquiry.family);
        return Ok((inquiry, Some((config, position))));
    }
    if arguments.family == Some(Family::Generic) {
        let text = "what a generic chain is asked stands in the configuration; write NETWORK/NODE".to_owned();
        return Err(Refusal(text, USAGE));
    }
    let headers = headers(arguments)?;
    let rpc = endpoint("URL", &arguments.target, "http, https")?.with_headers(headers.clone());
    // A configuration would look for it beside itself.
    let cookie_file = arguments.cookie_file.as_deref().map(|path| std::path::absolute(path).unwrap_or(path.to_owned()));
    let rpc = rpc.with_cookie_file(cookie_file.map(Arc::from));
    let ws = arguments.ws.as_deref().map(|ws| endpoint("--ws", ws, "ws, wss")).transpose()?;
    let mut inquiry = Inquiry::new(rpc, arguments.timeout);
    inquiry.ws = ws.map(|ws| ws.with_headers(headers));
    inquiry.family = arguments.family;
    Ok((inquiry, None))
}

fn find(arguments: &Arguments) -> Result<(Config, usize), Refusal> {
    if !arguments.target.contains('/') {
        return Err(Refusal("write a URL like http://host:8545, or NETWORK/NODE".to_owned(), USAGE));
    }
    let config = config::load(&Source::File(arguments.config_file.clone()))
        .map_err(|problems| Refusal(problems.to_string(), exit::CONFIG))?;
    if let Some(position) = config.chain.nodes.iter().position(|node| *node.name == arguments.target) {
        return Ok((config, position));
    }
    let file = arguments.config_file.display();
    let text = format!("{file} has no node of this name; write a URL like http://host:8545, or NETWORK/NODE");
    Err(Refusal(text, USAGE))
}

fn endpoint(what: &str, written: &str, schemes: &'static str) -> Result<Endpoint, Refusal> {
    let url = expanded(what, written)?;
    if schemes.starts_with("http") && (url.starts_with("ws://") || url.starts_with("wss://")) {
        let text = "this is the address of a WebSocket: give it as --ws, and that of HTTP requests as the URL";
        return Err(Refusal(text.to_owned(), USAGE));
    }
    Endpoint::parse(&url, schemes).map_err(|error| Refusal(format!("{what}: {error}"), USAGE))
}

fn expanded(what: &str, written: &str) -> Result<String, Refusal> {
    config::expand(written).map_err(|(problem, help)| Refusal(format!("{what}: {problem}; {help}"), USAGE))
}

/// No text in here holds any part of a value: it may be a secret.
fn headers(arguments: &Arguments) -> Result<HeaderMap, Refusal> {
    let usage = |text: String| Refusal(text, USAGE);
    let mut map = HeaderMap::new();
    for header in &arguments.headers {
        let (name, value) = header.split_once(':').ok_or_else(|| usage("--header: write 'Name: value'".to_owned()))?;
        let name = HeaderName::try_from(name.trim())
            .map_err(|_| usage("--header: what stands before the colon is not the name of a header".to_owned()))?;
        let value = sensitive(&expanded("--header", value.trim())?)?;
        map.append(name, value);
    }
    if let Some(path) = &arguments.bearer_token_file {
        let token = fs::read_to_string(path)
            .map_err(|error| usage(format!("--bearer-token-file: {} cannot be read: {error}", path.display())))?;
        map.insert(AUTHORIZATION, sensitive(&format!("Bearer {}", token.trim()))?);
    }
    Ok(map)
}

fn sensitive(text: &str) -> Result<HeaderValue, Refusal> {
    let refusal = |_| Refusal("the value of a header must be printable ASCII on one line".to_owned(), USAGE);
    let mut value = HeaderValue::from_str(text).map_err(refusal)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The thresholds that a configured node and its network have.
fn configured(report: &Report, config: &Config, position: usize) -> Option<Thresholds> {
    let node = config.engine.nodes.get(position)?;
    let network = config.engine.networks.get(node.network.index())?;
    report.is_node().then(|| Thresholds::of(report, network, node))
}

/// The thresholds that the suggested configuration would have. They do not depend on the address, which may refer to
/// variables that nobody has set yet.
fn expected(report: &Report) -> Option<Thresholds> {
    let mut blank = report.clone();
    let url = "http://127.0.0.1:1".to_owned();
    blank.address = Address { name: "node-1".to_owned(), url, ..Address::default() };
    let config = config::load(&Source::Text(told::config(&blank)?)).ok()?;
    configured(report, &config, 0)
}

fn table(report: &Report, thresholds: Option<&Thresholds>, suggest: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in told::lines(&told::rows(report, thresholds), width()) {
        writeln!(out, "{line}")?;
    }
    if let Some(config) = told::config(report).filter(|_| suggest && report.is_node()) {
        writeln!(out, "\nThe configuration that would watch it:\n\n{config}")?;
    }
    out.flush()
}

fn json(report: &Report, thresholds: Option<&Thresholds>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &Told::of(report, thresholds))?;
    writeln!(out)
}

/// Columns of the terminal; more than anybody reads in a line are not used.
fn width() -> usize {
    let told = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
    told.filter(|columns| 0 < *columns).unwrap_or(USUAL_WIDTH)
}

pub(super) fn family() -> impl TypedValueParser<Value = Family> {
    PossibleValuesParser::new(Family::ALL.map(Family::as_str))
        .try_map(|word| Family::named(&word).ok_or("not a known family"))
}

fn timeout(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|_| "write a duration like 500ms or 5s".to_owned())?;
    let fits = Duration::from_millis(1)..=LONGEST;
    if fits.contains(&duration) { Ok(duration) } else { Err("1ms to 10m".to_owned()) }
}
