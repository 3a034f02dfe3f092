//! `[record]`: where what is observed is written down, so that it can be replayed.

use std::{ops::RangeInclusive, path::PathBuf};

use super::{
    kind::{count, size},
    section::{Item, Section},
    shape::Shape,
};
use crate::recorder::Settings;

/// How large a file may be.
const SIZES: RangeInclusive<usize> = 1 << 20..=1 << 40;

/// How many files there may be.
const FILES: RangeInclusive<u32> = 1..=1000;

const FILE_HELP: &str = "the path of a file, like \"/var/lib/haltwatch/observed.jsonl\"";

/// Reads the section; nothing is recorded unless it names a file.
pub(super) fn read(mut section: Section<'_>) -> Option<Settings> {
    let file = section.optional("file", path);
    let (mut max_size, mut keep) = (usize::try_from(Settings::MAX_SIZE).unwrap_or(usize::MAX), Settings::KEEP);
    section.set("max_size", size(SIZES), &mut max_size);
    section.set("keep", count(FILES), &mut keep);
    section.finish();
    Some(Settings { file: file?, max_size: max_size as u64, keep })
}

/// A path; a relative one starts at the directory of the configuration.
fn path(item: &Item<'_>) -> Option<PathBuf> {
    item.describe(|| Shape::Parsed("path of a file"));
    let item = item.harmless();
    let text = item.text("the path of a file", FILE_HELP)?;
    if text.is_empty() || text.ends_with('/') {
        return item.wrong(format!("{} is no path of a file", item.quoted()), FILE_HELP);
    }
    Some(item.page.vault.directory.join(text))
}
