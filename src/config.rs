//! Reads `config.toml` into the settings of each component and reports every problem at once, with file, line and
//! column. The file becomes a tree that knows its positions (`page`), sections of it are read key by key (`section`)
//! with the kinds of values there are (`kind`); whatever is wrong is noted and reading goes on. Nothing outside sees
//! any of that.

mod alertmanager;
mod credentials;
mod depends;
mod kind;
mod labels;
mod limits;
mod monitor;
mod network;
mod page;
mod problem;
mod secret;
mod section;
mod source;
mod suggest;
mod syntax;
mod unique;
mod web;

pub use self::{
    problem::{Excerpt, Problem, Problems},
    source::Source,
};

pub(crate) use self::monitor::host_name;

use std::path::Path;

use toml::de::DeTable;

use self::{page::Page, secret::Vault, section::Section};
use crate::{chain, engine, output};

/// The validated configuration, split by component. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// For the engine.
    pub engine: engine::settings::Settings,
    /// For the pollers.
    pub chain: chain::Settings,
    /// For the HTTP server.
    pub http: output::http::Settings,
    /// For the notifier; `None` = no Alertmanager configured.
    pub alertmanager: Option<output::alertmanager::Settings>,
    /// Where the runbooks of alerts are read, as far as the file tells.
    pub runbooks: output::runbook::Runbooks,
}

/// Reads and validates a configuration, secrets included: their files are read and their variables looked up now.
///
/// # Errors
/// Every problem found, at once, in the order of the file.
pub fn load(source: &Source) -> Result<Config, Problems> {
    let name = source.to_string();
    let text = source.read().map_err(|problem| Problems { source: name.clone(), list: vec![problem] })?;
    let environment = |variable: &str| std::env::var_os(variable);
    let (config, _, list) = read(&text, &Vault { directory: source.directory(), environment: &environment });
    if list.is_empty() { Ok(config) } else { Err(Problems { source: name, list }) }
}

/// Every key of the configuration file with the section it stands in (`("network.node", "url")`), sorted.
#[must_use]
pub fn keys() -> Vec<(&'static str, &'static str)> {
    let vault = Vault { directory: Path::new(""), environment: &|_| None };
    read(EVERY_SECTION, &vault).1
}

/// A file in which every section is there, so that every key is asked for.
const EVERY_SECTION: &str = "[alertmanager.basic_auth]\n[[network]]\n[[network.node]]\n[network.node.basic_auth]\n";

type Keys = Vec<(&'static str, &'static str)>;

/// The configuration, the keys that were asked for, and the problems. While there are any the configuration is of no
/// use: what could not be read is missing in it or stands at its default.
fn read(text: &str, vault: &Vault<'_>) -> (Config, Keys, Vec<Problem>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (tree, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return read_page(Page::new(text, vault, &errors), tree.get_ref());
    }
    let (text, errors) = syntax::without_stray_words(text);
    let (tree, _) = DeTable::parse_recoverable(&text);
    read_page(Page::new(&text, vault, &errors), tree.get_ref())
}

fn read_page<'a>(page: Page<'a>, tree: &'a DeTable<'a>) -> (Config, Keys, Vec<Problem>) {
    let config = read_config(Section::root(&page, tree));
    let (keys, problems) = page.finish();
    (config, keys, problems)
}

fn read_config(mut root: Section<'_>) -> Config {
    let mut engine = engine::settings::Settings::default();
    let mut chain = chain::Settings::default();
    monitor::read(root.section("monitor", "monitor"), &mut engine, &mut chain);
    let web = web::read(root.section("web", "web"));
    let alertmanager = alertmanager::read(&mut root, &web);
    let defaults = limits::read_defaults(root.section("defaults", "defaults"));
    network::read_all(&mut root, &defaults, &mut engine, &mut chain);
    root.finish();
    Config { engine, chain, http: web.http, alertmanager, runbooks: web.runbooks }
}
