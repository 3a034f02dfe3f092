//! `[[rule]]`: alerts of the user's own. Expressions are those of CEL without loops; they are read, checked against the
//! vocabulary of the engine and turned into its trees here, so that nothing can be wrong with them later but numbers.

mod expression;
mod fault;
mod summary;
mod syntax;

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use super::{
    code::Code,
    kind::{duration, list, name, word},
    labels::labels,
    section::{Item, Section},
    shape::Shape,
    suggest::nearest,
    unique::Unique,
};
use crate::{
    engine::{
        custom::{CustomRule, expression::Expression, template::Template},
        settings::NetworkSettings,
    },
    model::{
        Endpoint, Level, RuleName,
        alert::{RuleNameError, Scope},
    },
};

/// Rules of one monitor.
const MAX_RULES: usize = 256;

/// Networks that one rule names.
const MAX_NETWORKS: usize = 1000;

/// How long a rule may wait and hold.
const WAITS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(7 * 24 * 3600);

/// How long a rule waits that does not say: the answer of at least a second poll, as ours do.
const WAIT: Duration = Duration::from_secs(30);

const SCOPES: &[Scope] = &[Scope::Node, Scope::Network];

/// Reads every rule. `networks` are those there are.
pub(super) fn read_all(root: &mut Section<'_>, networks: &[NetworkSettings]) -> Vec<CustomRule> {
    let sections = root.any_sections("rule", "rule");
    if let Some(first) = sections.get(MAX_RULES) {
        let message = format!("{} rules are too many", sections.len());
        first.place().note(Code::OutOfRange, message, "at most 256 for one haltwatch");
    }
    let mut names = Unique::new("this name", "names of rules are unique: alerts are called after them");
    sections.into_iter().take(MAX_RULES).filter_map(|section| read(section, &mut names, networks)).collect()
}

fn read(mut section: Section<'_>, names: &mut Unique, known: &[NetworkSettings]) -> Option<CustomRule> {
    let scope = section.required("scope", word("scope", SCOPES, scope_word));
    let read_name = |item: &Item<'_>| rule_name(item, scope.unwrap_or(Scope::Node), names);
    let name = section.required("name", read_name);
    let when = section.required("when", |item| condition(item, scope));
    let (mut wait, mut hold) = (WAIT, Duration::ZERO);
    section.set("for", duration(WAITS), &mut wait);
    section.set("keep_firing_for", duration(WAITS), &mut hold);
    let level = section.required("level", word("level", &Level::ALL, Level::as_str));
    let summary = section.required("summary", |item| template(item, scope));
    let labels = section.optional("labels", labels(&Vec::new())).unwrap_or_default();
    let networks = section.optional("networks", list(self::name, 1..=MAX_NETWORKS));
    let runbook_url = section.optional("runbook_url", runbook);
    section.finish();
    networks.iter().flatten().for_each(|(name, item)| check_network(name, item, known));
    let (when, source) = when?;
    Some(CustomRule {
        name: name?,
        when,
        source,
        wait,
        hold,
        level: level?,
        summary: summary?,
        labels,
        networks: networks.map(|networks| networks.into_iter().map(|(name, _)| name).collect()),
        runbook_url,
    })
}

fn scope_word(scope: Scope) -> &'static str {
    match scope {
        Scope::Node => "node",
        Scope::Network => "network",
        Scope::Monitor => "monitor",
    }
}

fn rule_name(item: &Item<'_>, scope: Scope, names: &mut Unique) -> Option<RuleName> {
    item.describe(|| Shape::Parsed("name of an alert, like ArchiveLagging"));
    let item = item.harmless();
    let text = item.text("a string", "write it in quotes")?;
    names.check(&item, &text);
    match RuleName::new(&text, scope) {
        Ok(name) => Some(name),
        Err(RuleNameError::Form) => {
            let help = "capital first, then letters and digits, at most 64, like \"ArchiveLagging\"";
            item.wrong(format!("{} is not the name of an alert", item.quoted()), help)
        }
        Err(RuleNameError::Taken) => {
            item.note_as(Code::Duplicate, format!("haltwatch has an alert {}", item.quoted()), "choose another name");
            None
        }
        Err(RuleNameError::TooMany) => {
            item.wrong("too many names of rules since the start".to_owned(), "restart haltwatch")
        }
    }
}

fn condition(item: &Item<'_>, scope: Option<Scope>) -> Option<(Expression, Arc<str>)> {
    item.describe(|| Shape::Parsed("expression"));
    let text = item.text("a string", "write an expression in quotes, like 'node.lag_blocks > 50'")?;
    // Without a scope, which has been noted, the wider vocabulary is the better guess.
    match expression::compile(&text, scope.unwrap_or(Scope::Node)) {
        Ok(expression) => Some((expression, Arc::from(text))),
        Err(fault) => {
            fault.note(item, &text);
            None
        }
    }
}

fn template(item: &Item<'_>, scope: Option<Scope>) -> Option<Template> {
    item.describe(|| Shape::Parsed("text with {{fields}} in it"));
    let text = item.text("a string", "write a sentence in quotes, with fields as {{node.name}}")?;
    match summary::read(&text, scope.unwrap_or(Scope::Node)) {
        Ok(template) => Some(template),
        Err(fault) => {
            fault.note(item, &text);
            None
        }
    }
}

/// A URL that is published in alerts.
fn runbook(item: &Item<'_>) -> Option<Arc<str>> {
    item.describe(|| Shape::Url("http, https"));
    let help = "write http:// or https:// and a host, without credentials; it is published";
    let text = item.text("a URL", "write it in quotes")?;
    match Endpoint::parse(&text, "http, https") {
        Ok(_) => Some(Arc::from(text)),
        Err(error) => {
            item.note_as(Code::BadAddress, format!("`{}`: {error}", item.key), help);
            None
        }
    }
}

fn check_network(name: &str, item: &Item<'_>, known: &[NetworkSettings]) {
    if item.page.is_broken() || known.iter().any(|network| *network.name == *name) {
        return;
    }
    let item = item.harmless();
    let help = nearest(name, known.iter().map(|network| &*network.name))
        .map_or_else(|| "the name of a [[network]]".to_owned(), |name| format!("did you mean \"{name}\"?"));
    let message = format!("there is no network {}", item.shown().unwrap_or("of this name"));
    item.note_as(Code::UnknownNetwork, message, &help);
}
