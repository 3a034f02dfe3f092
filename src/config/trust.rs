//! `ca_file`, `client_cert` and `client_key` of a node: TLS with certificates of its own.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::{
    code::Code,
    section::{Item, Section},
    shape::Shape,
};
use crate::model::{Endpoint, Trust};

const HELP: &str = "the path of a PEM file, like \"/etc/haltwatch/sdk/ca.crt\"";

/// Reads the three keys, which say nothing about addresses without TLS.
pub(super) fn read(section: &mut Section<'_>, urls: &[(Endpoint, Item<'_>)]) -> Trust {
    let items = ["ca_file", "client_cert", "client_key"].map(|key| section.item(key));
    let [authorities, certificate, key] = items.each_ref().map(|item| item.as_ref().and_then(path));
    let [_, certificate_item, key_item] = &items;
    if certificate_item.is_some() != key_item.is_some() {
        let message = "`client_cert` and `client_key` belong together";
        section.place().note(Code::Missing, message, "give both, or none");
    }
    let trust = Trust { authorities, identity: certificate.zip(key) };
    if !trust.is_ordinary() && !urls.is_empty() && urls.iter().all(|(url, _)| !url.is_tls()) {
        let message = "`ca_file`, `client_cert` and `client_key` say nothing about an address without TLS";
        section.place().note(Code::BadValue, message, "write https, or remove them");
    }
    trust
}

/// A path; a relative one starts at the directory of the configuration.
fn path(item: &Item<'_>) -> Option<PathBuf> {
    item.describe(|| Shape::Parsed("path of a file"));
    let item = item.harmless();
    let text = item.text("the path of a file", HELP)?;
    if text.is_empty() || text.ends_with('/') {
        return item.wrong(format!("{} is no path of a file", item.quoted()), HELP);
    }
    let path = item.page.vault.directory.join(text);
    if let Err(error) = readable(&path) {
        note_unreadable(&item, &error);
    }
    Some(path)
}

/// Warns that what stands at the path cannot be read.
pub(super) fn note_unreadable(item: &Item<'_>, error: &io::Error) {
    let help = "the user of haltwatch must be able to read it";
    item.note_as(Code::UnreadableFile, format!("this file cannot be read: {error}"), help);
}

/// Whether a file stands there that can be read.
///
/// # Errors
/// Why not.
pub(super) fn readable(path: &Path) -> io::Result<()> {
    // A pipe would hold us up until somebody writes into it.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    File::open(path).map(drop)
}
