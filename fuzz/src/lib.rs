//! What `Facts` promise of themselves, whatever a node said: targets that read whole polls check it.

use haltwatch::observation::{ABSENT, EQUIVOCATIONS, Facts, PollError, clean_text};

/// Longest version, in bytes.
const MAX_VERSION: usize = 128;

/// Longest other text, in bytes: what errors tell, and names of nodes.
const MAX_TEXT: usize = 160;

/// Panics if what became of a poll is not as promised.
pub fn check(outcome: &Result<Facts, PollError>) {
    let facts = match outcome {
        Ok(facts) => facts,
        Err(error) => return check_text(&error.detail),
    };
    assert!(facts.version.as_ref().is_none_or(|version| version.len() <= MAX_VERSION));
    assert!(facts.absent.len() <= ABSENT && facts.equivocations.len() <= EQUIVOCATIONS);
    assert!(facts.participation.is_none_or(|per_mille| per_mille <= 1000));
    let own = [&facts.chain_id, &facts.version, &facts.identity].into_iter().flatten();
    let validators = facts.equivocations.iter().map(|it| &it.validator).chain(&facts.absent);
    own.chain(validators).chain(facts.upgrade.as_ref().map(|it| &it.name)).for_each(|text| check_text(text));
}

fn check_text(text: &str) {
    assert_eq!(clean_text(text, MAX_TEXT), text);
}
