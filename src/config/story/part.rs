//! What nodes say in a story: the series of a network or a node.

use std::{sync::Arc, time::Duration};

use crate::{
    config::{
        section::{Item, Section},
        shape::Shape,
    },
    observation::ErrorKind,
    ruletest::{Answer, Branch, NodePart, Numbers, Words},
};

pub(super) fn never_asked() -> Words<Answer> {
    Words::parse("silent", Duration::from_secs(1), answer).unwrap_or_default()
}

/// What the nodes say; `common` where nothing is said.
pub(super) fn part(section: &mut Section<'_>, every: Duration, common: &NodePart) -> NodePart {
    let mut part = common.clone();
    section.set("answers", series(|text| Words::parse(text, every, answer)), &mut part.answers);
    section.set("branch", series(|text| Words::parse(text, every, branch)), &mut part.branch);
    let yes_or_no = |word: &str| match word {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    };
    section.set("syncing", series(|text| Words::parse(text, every, yes_or_no)), &mut part.syncing);
    let any = |word: &str| Some(Arc::from(word));
    section.set("on_chain", series(|text| Words::parse(text, every, any)), &mut part.on_chain);
    section.set("version", series(|text| Words::parse(text, every, any)), &mut part.version);
    let numbers: [(&'static str, &mut Numbers); 10] = [
        ("height", &mut part.height),
        ("safe", &mut part.safe),
        ("finalized", &mut part.finalized),
        ("pending", &mut part.pending),
        ("transactions", &mut part.transactions),
        ("peers", &mut part.peers),
        ("round", &mut part.round),
        ("participation", &mut part.participation),
        ("clock_skew", &mut part.clock_skew),
        ("latency", &mut part.latency),
    ];
    for (key, value) in numbers {
        section.set(key, series(|text| Numbers::parse(text, every)), value);
    }
    part
}

/// `ok`, `silent` or how a poll fails.
fn answer(word: &str) -> Option<Answer> {
    let failure = || ErrorKind::ALL.iter().copied().find(|kind| kind.as_str() == word).map(Answer::Failed);
    match word {
        "ok" => Some(Answer::Good),
        "silent" => Some(Answer::NotAsked),
        _ => failure(),
    }
}

/// `b`, or `b@140` for a branch that leaves the first above block 140.
fn branch(word: &str) -> Option<Branch> {
    let (name, leaves_at) = match word.split_once('@') {
        Some((name, height)) => (name, Some(height.parse().ok()?)),
        None => (word, None),
    };
    (!name.is_empty()).then(|| Branch { name: Arc::from(name), leaves_at })
}

/// A text that is a series.
pub(super) fn series<T>(parse: impl Fn(&str) -> Result<T, String>) -> impl Fn(&Item<'_>) -> Option<T> {
    move |item| {
        item.describe(|| Shape::Text);
        let item = item.harmless();
        let text = item.text("a series", "write it in quotes, like \"100+1x120 220x60\" or \"ok x30 timeout x20\"")?;
        parse(&text).map_err(|why| item.note(format!("`{}`: {why}", item.key), "docs/rule-tests.md shows series")).ok()
    }
}
