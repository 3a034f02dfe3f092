//! What authenticates us: headers as given, `bearer_token`, `basic_auth`. All of it ends in header values marked
//! sensitive; nothing here is ever quoted.

use std::{io, path::Path, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING, UPGRADE},
};
use toml::de::DeValue;

use super::{
    code::Code,
    host::is_local,
    section::{Item, Section},
    shape::Shape,
    suspect::{holds_a_key, is_named_like_a_secret},
    trust::{note_unreadable, readable},
};
use crate::model::Endpoint;

/// Headers of one endpoint.
const MAX_HEADERS: usize = 32;

/// Headers that haltwatch sets itself.
const OWN: &[HeaderName] = &[CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING, UPGRADE];

/// Reads `headers`, `bearer_token` and `basic_auth` of a section; `path` names its `basic_auth`.
pub(super) fn read(section: &mut Section<'_>, path: &'static str) -> HeaderMap {
    let headers = section.item("headers");
    let bearer = section.item("bearer_token");
    let basic = section.item("basic_auth");
    let mut map = headers.as_ref().map(given_headers).unwrap_or_default();
    if let Some(value) = bearer.as_ref().and_then(bearer_token) {
        authorize(&mut map, bearer.as_ref(), value);
    }
    if let Some(value) = section.try_section("basic_auth", path).and_then(basic_auth) {
        authorize(&mut map, basic.as_ref(), value);
    }
    map
}

/// Reads `cookie_file`: the path of a file that a node on the same machine keeps for those who may read it. It takes the
/// place of every other credential.
pub(super) fn cookie_file(
    section: &mut Section<'_>,
    headers: &HeaderMap,
    urls: &[(Endpoint, Item<'_>)],
) -> Option<Arc<Path>> {
    let item = section.item("cookie_file")?;
    item.describe(|| Shape::Parsed("path of a file"));
    let help = "the path of a file, like \"/var/lib/bitcoind/.cookie\"";
    let item = item.harmless();
    let text = item.text("the path of a file", help)?;
    if text.is_empty() || text.ends_with('/') {
        return item.wrong(format!("{} is no path of a file", item.quoted()), help);
    }
    if headers.contains_key(AUTHORIZATION) {
        let help = "give cookie_file alone, without bearer_token, basic_auth and a header Authorization";
        item.note_as(Code::Duplicate, "Authorization is given twice", help);
        return None;
    }
    urls.iter().filter(|(url, _)| is_open(url)).for_each(|(_, item)| note_clear_text(item));
    let path = item.page.vault.directory.join(text);
    // One that is missing is that of a node which is not running.
    if let Err(error) = readable(&path)
        && error.kind() != io::ErrorKind::NotFound
    {
        note_unreadable(&item, &error);
    }
    Some(Arc::from(path))
}

fn authorize(map: &mut HeaderMap, item: Option<&Item<'_>>, value: HeaderValue) {
    if map.insert(AUTHORIZATION, value).is_some()
        && let Some(item) = item
    {
        let help = "give one of bearer_token, basic_auth and a header Authorization";
        item.note_as(Code::Duplicate, "Authorization is given twice", help);
    }
}

fn given_headers(item: &Item<'_>) -> HeaderMap {
    item.describe(|| Shape::Texts);
    let mut map = HeaderMap::new();
    let DeValue::Table(table) = item.value.get_ref() else {
        item.is_not::<()>("a table", "write headers = { Name = \"value\" }");
        return map;
    };
    for (name, value) in table {
        let (at, entry) = (name.span().start, item.entry(name.get_ref(), value));
        let Ok(name) = HeaderName::from_bytes(name.get_ref().as_bytes()) else {
            entry.wrong_key(Code::BadName, at, "not the name of a header", "write headers = { Name = \"value\" }");
            continue;
        };
        if OWN.contains(&name) {
            entry.wrong_key(Code::BadName, at, "haltwatch sets this header itself", "remove it");
            continue;
        }
        let Some(value) = entry.text("a string", "write it in quotes").and_then(|text| sensitive(&entry, &text)) else {
            continue;
        };
        if is_named_like_a_secret(name.as_str()) {
            warn_if_plain(&entry, "this header");
        }
        if map.insert(name, value).is_some() {
            entry.wrong_key(Code::Duplicate, at, "this header is given twice", "the case of letters does not matter");
        }
    }
    if MAX_HEADERS < map.len() {
        item.note_as(Code::OutOfRange, "too many headers", "at most 32");
    }
    map
}

fn bearer_token(item: &Item<'_>) -> Option<HeaderValue> {
    item.describe(|| Shape::Text);
    let token = item.text("a string", "write it in quotes")?;
    if token.is_empty() || token.contains(char::is_whitespace) {
        return item.wrong("`bearer_token` is not a token".to_owned(), "one word, without \"Bearer\" in front of it");
    }
    warn_if_plain(item, "the token");
    sensitive(item, &format!("Bearer {token}"))
}

fn basic_auth(section: Section<'_>) -> Option<HeaderValue> {
    let mut section = section.secret();
    let username = section.required_item("username");
    let password = section.required("password", password);
    section.finish();
    let username_item = username?;
    username_item.describe(|| Shape::Text);
    let username = username_item.text("a string", "write it in quotes")?;
    if username.contains(':') {
        return username_item.wrong("`username` must not hold a colon".to_owned(), "it would end the name there");
    }
    let credentials = BASE64_STANDARD.encode(format!("{username}:{}", password?));
    sensitive(&username_item, &format!("Basic {credentials}"))
}

fn password(item: &Item<'_>) -> Option<String> {
    item.describe(|| Shape::Text);
    warn_if_plain(item, "the password");
    item.text("a string", "write it in quotes")
}

fn warn_if_plain(item: &Item<'_>, what: &str) {
    if item.is_literal() {
        let message = format!("{what} stands in the configuration itself");
        item.note_as(Code::PlainSecret, message, "write ${NAME} or ${file:/path}");
    }
}

/// Warns of URLs to which a secret is sent so that everybody on the way can read it.
pub(super) fn warn_of_clear_text(urls: &[(Endpoint, Item<'_>)], headers: &HeaderMap) {
    let authorized = headers.keys().any(|name| is_named_like_a_secret(name.as_str()));
    for (url, item) in urls.iter().filter(|(url, _)| is_open(url)) {
        if authorized || holds_a_key(url.path_and_query()) {
            note_clear_text(item);
        }
    }
}

/// Whether everybody on the way can read what is sent there.
fn is_open(url: &Endpoint) -> bool {
    !url.is_tls() && !is_local(url.host())
}

fn note_clear_text(item: &Item<'_>) {
    let message = "a secret is sent to another machine without encryption";
    item.note_as(Code::ClearText, message, "use https or wss, or a tunnel that ends on this machine");
}

/// A header value that is not displayed.
fn sensitive(item: &Item<'_>, text: &str) -> Option<HeaderValue> {
    let Ok(mut value) = HeaderValue::from_str(text) else {
        return item.wrong("not a value a header can have".to_owned(), "printable ASCII on one line");
    };
    value.set_sensitive(true);
    Some(value)
}
