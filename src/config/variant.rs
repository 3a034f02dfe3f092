//! `variant` and `group`: which chain of a family a network is, beside the word of the family.

use super::{call, code::Code, kind::name, section::Section, shape::Shape, suggest::nearest};
use crate::chain::{Family, Particulars, Profile, family::PROFILES};

/// What is known of the network before its nodes are asked, and what their pollers must know.
pub(super) fn read(section: &mut Section<'_>, family: Family) -> (&'static Profile, Particulars) {
    let profile = Profile::of(family, variant(section, family));
    let item = section.item("group");
    let group = item.as_ref().and_then(name);
    match &item {
        None if profile.groups => {
            let message = format!("a node of {} serves several chains", family.as_str());
            let help = match family {
                Family::FiscoBcos2 => "say which of its groups this network is: group = \"1\"",
                _ => "say which of its groups this network is: group = \"group0\"",
            };
            section.place().note(Code::Missing, message, help);
        }
        Some(item) if !profile.groups => {
            item.harmless().note_as(Code::BadValue, "`group` says nothing about this family", "remove it");
        }
        _ => {}
    }
    (profile, Particulars { variant: profile.variant, group, spec: call::read_all(section, family) })
}

fn variant(section: &mut Section<'_>, family: Family) -> Option<&'static str> {
    let item = section.item("variant")?;
    item.describe(|| Shape::Word(PROFILES.iter().filter_map(|row| row.variant).collect()));
    let item = item.harmless();
    let own: Vec<&'static str> = Profile::variants(family).collect();
    let wanted = item.text("a string", "write it in quotes")?;
    if let Some(found) = own.iter().find(|name| **name == wanted) {
        return Some(found);
    }
    let plain = wanted == family.as_str();
    let help = match nearest(&wanted, own.iter().copied()) {
        _ if plain && !own.is_empty() => format!("remove it, or write one of {}", own.join(", ")),
        _ if own.is_empty() => "remove it".to_owned(),
        Some(name) => format!("did you mean \"{name}\"?"),
        None => format!("one of {}", own.join(", ")),
    };
    let message = format!("{} is no variant of {}", item.quoted(), family.as_str());
    item.note_as(Code::BadValue, &message, &help);
    None
}
