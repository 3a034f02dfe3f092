//! Reads `config.toml` into the settings of each component and reports every problem at once, with file, line and
//! column. The file becomes a tree that knows its positions (`page`), sections of it are read key by key (`section`)
//! with the kinds of values there are (`kind`); whatever is wrong is noted and reading goes on. Nothing outside sees
//! any of that. What was read is surveyed as a whole (`lint`): what is dangerous but legal is a warning. Each kind also
//! says what it takes (`shape`), from which documentation (`manual`) and schema are made.

mod alertmanager;
mod cadence;
mod call;
mod code;
mod credentials;
mod depends;
mod discovery;
mod host;
mod kind;
mod labels;
mod limits;
mod lint;
mod manual;
mod monitor;
mod network;
mod page;
mod place;
mod planned;
mod probe;
mod problem;
mod record;
mod rule;
mod schema;
mod secret;
mod section;
mod shape;
mod silence;
mod source;
mod story;
mod suggest;
mod survey;
mod suspect;
mod syntax;
mod trust;
mod unique;
mod variant;
mod web;

pub use self::{
    code::{Code, Severity},
    discovery::Discovery,
    manual::{EXAMPLE, Entry, Found, Manual},
    problem::{Excerpt, Problem, Problems},
    schema::schema,
    shape::Shape,
    source::Source,
    story::load_story,
};

pub(crate) use self::{kind::parse_size as size, monitor::host_name};

use std::{fmt, path::Path};

use sha2::{Digest, Sha256};
use toml::de::DeTable;

use self::{page::Page, secret::Vault, section::Section, shape::Described, survey::Survey};
use crate::{chain, engine, output, recorder};

/// The validated configuration, split by component. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// For the engine.
    pub engine: engine::settings::Settings,
    /// For the pollers.
    pub chain: chain::Settings,
    /// For the HTTP server.
    pub http: output::http::Settings,
    /// For probes on request.
    pub probe: chain::probe::Settings,
    /// For the notifier; `None` = no Alertmanager configured.
    pub alertmanager: Option<output::alertmanager::Settings>,
    /// Where observations are written down; `None` = nowhere.
    pub record: Option<recorder::Settings>,
    /// Where more nodes are found, and what they inherit: see [`Config::with_found`].
    pub discovery: Discovery,
    /// Of the text it was read from.
    pub hash: Hash,
    /// What is dangerous about it but does not keep it from being used.
    pub warnings: Problems,
}

/// Tells one text of a configuration from another, in 48 bits that every number of a metric holds. `Debug` shows no
/// number: what two texts mean can be the same.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Hash(pub i64);

impl Hash {
    /// The first bits of the SHA-256 of `text`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        Self(digest.iter().take(6).fold(0, |bits, byte| bits << 8 | i64::from(*byte)))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash")
    }
}

/// Reads and validates a configuration, secrets included: their files are read and their variables looked up now.
///
/// # Errors
/// Every problem found, at once, in the order of the file.
pub fn load(source: &Source) -> Result<Config, Problems> {
    let name = source.to_string();
    let text = source.read().map_err(|problem| Problems { source: name.clone(), list: vec![*problem] })?;
    let environment = |variable: &str| std::env::var_os(variable);
    let (config, _, list) = read(&text, &Vault { directory: source.directory(), environment: &environment });
    let problems = Problems { source: name, list };
    if problems.count(Severity::Error) != 0 {
        return Err(problems);
    }
    Ok(Config { warnings: problems, hash: Hash::of(&text), ..config })
}

/// `text` with its references to variables and files replaced, as in a configuration in the working directory.
///
/// # Errors
/// What is wrong with a reference, and what would be right. Neither holds a secret.
pub fn expand(text: &str) -> Result<String, (String, &'static str)> {
    let environment = |variable: &str| std::env::var_os(variable);
    Vault { directory: Path::new(""), environment: &environment }.expand(text, &|_, _| ())
}

/// Every key of the configuration file with the section it stands in (`("network.node", "url")`), sorted.
#[must_use]
pub fn keys() -> Vec<(&'static str, &'static str)> {
    describe().into_keys().map(|(key, _)| key).collect()
}

/// What every key says of itself.
fn describe() -> Described {
    let vault = Vault { directory: Path::new(""), environment: &|_| None };
    let (tree, _) = DeTable::parse_recoverable(EVERY_SECTION);
    read_page(Page::blank(EVERY_SECTION, &vault), tree.get_ref()).1
}

/// A file in which every section is there, so that every key is asked for.
const EVERY_SECTION: &str = "[alertmanager.basic_auth]\n[[discovery]]\n[discovery.basic_auth]\n\
                             [[network]]\n[[network.call]]\n[[network.planned_halt]]\n[[network.node]]\n\
                             [network.node.basic_auth]\n[[rule]]\n[[silence]]\n";

/// The configuration, what was learned of its keys, and the problems. While there are errors the configuration is of no
/// use: what could not be read is missing in it or stands at its default.
fn read(text: &str, vault: &Vault<'_>) -> (Config, Described, Vec<Problem>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (tree, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return read_page(Page::new(text, vault, &errors), tree.get_ref());
    }
    let (text, errors) = syntax::without_stray_words(text);
    let (tree, _) = DeTable::parse_recoverable(&text);
    read_page(Page::new(&text, vault, &errors), tree.get_ref())
}

fn read_page<'a>(page: Page<'a>, tree: &'a DeTable<'a>) -> (Config, Described, Vec<Problem>) {
    let config = read_config(&page, Section::root(&page, tree));
    let (described, problems) = page.finish();
    (config, described, problems)
}

fn read_config<'a>(page: &'a Page<'a>, mut root: Section<'a>) -> Config {
    let mut engine = engine::settings::Settings::default();
    let mut chain = chain::Settings::default();
    let monitor = monitor::read(root.section("monitor", "monitor"), &mut engine, &mut chain);
    let (http, web_site) = web::read(root.section("web", "web"));
    let probe = probe::read(root.section("probe", "probe"));
    let record = record::read(root.section("record", "record"));
    let (alertmanager, alertmanager_site) = alertmanager::read(&mut root).unzip();
    let defaults = limits::read_defaults(root.section("defaults", "defaults"));
    let (mut discovery, wishes) = discovery::read_all(&mut root);
    let networks = network::read_all(&mut root, &defaults, &mut engine, &mut chain, &mut discovery);
    discovery::check_networks(&wishes, &engine.networks);
    engine.rules = rule::read_all(&mut root, &engine.networks);
    engine.silences = silence::read_all(&mut root);
    root.finish();
    if !page.has_errors() {
        let finds_nodes = !discovery.sources.is_empty();
        lint::judge(&Survey { monitor, web: web_site, alertmanager: alertmanager_site, networks, finds_nodes });
    }
    let (hash, warnings) = (Hash::default(), Problems::default());
    Config { engine, chain, http, probe, alertmanager, record, discovery, hash, warnings }
}
