//! How a configuration would name an endpoint. A URL may hold a key in any part of its path or query, so a part is
//! repeated only if it is a short word; anything else becomes a reference to a variable that has to be set.

use std::fmt::Write as _;

use http::{HeaderValue, header::AUTHORIZATION};

use crate::{model::Endpoint, observation::probe::Address};

/// Longer parts of a path may be keys; `eth`, `rpc`, `v3`, `mainnet` are not.
const LONGEST_WORD: usize = 7;

/// Longer words that are no keys: where monerod answers.
const WORDS: [&str; 1] = ["json_rpc"];

/// The variable that stands for a key.
const KEY: &str = "RPC_KEY";

/// What to write into a configuration for this endpoint.
pub(super) fn of(rpc: &Endpoint, ws: Option<&Endpoint>) -> Address {
    let mut keys = Keys::default();
    let url = template(rpc, &mut keys);
    let credentials = rpc.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    Address {
        name: node_name(rpc.host()),
        url,
        ws: ws.map(|ws| template(ws, &mut keys)),
        headers: rpc.headers().keys().map(|name| name.as_str().to_owned()).collect(),
        basic_auth: credentials.is_some_and(|credentials| credentials.starts_with(b"Basic ")),
        cookie_file: rpc.cookie_file().map(|path| path.to_string_lossy().into_owned()),
    }
}

/// The same address with `path` below it.
pub(super) fn below(url: &str, path: &str) -> String {
    let (url, query) = url.split_once('?').map_or((url, None), |(url, query)| (url, Some(query)));
    let url = format!("{}{path}", url.trim_end_matches('/'));
    query.map_or_else(|| url.clone(), |query| format!("{url}?{query}"))
}

/// The secrets seen so far: the same one gets the same variable.
#[derive(Default)]
struct Keys(Vec<String>);

impl Keys {
    fn reference(&mut self, secret: &str) -> String {
        let known = self.0.iter().position(|known| known == secret);
        let number = known.unwrap_or_else(|| {
            self.0.push(secret.to_owned());
            self.0.len() - 1
        });
        if number == 0 { format!("${{{KEY}}}") } else { format!("${{{KEY}_{}}}", number + 1) }
    }
}

fn template(endpoint: &Endpoint, keys: &mut Keys) -> String {
    let scheme = endpoint.url().split_once("://").map_or("http", |(scheme, _)| scheme);
    let (path, query) = endpoint.path_and_query().split_once('?').unwrap_or((endpoint.path_and_query(), ""));
    let mut out = format!("{scheme}://{}", endpoint.authority());
    for segment in path.split('/').skip(1).filter(|_| path != "/") {
        let shown = if is_word(segment) { segment.to_owned() } else { keys.reference(segment) };
        // Writing to a string cannot fail; so below.
        let _ = write!(out, "/{shown}");
    }
    for (position, parameter) in query.split('&').filter(|parameter| !parameter.is_empty()).enumerate() {
        let joint = if position == 0 { '?' } else { '&' };
        let _ = match parameter.split_once('=') {
            Some((name, value)) if is_word(name) => write!(out, "{joint}{name}={}", keys.reference(value)),
            _ => write!(out, "{joint}{}", keys.reference(parameter)),
        };
    }
    out
}

fn is_word(text: &str) -> bool {
    WORDS.contains(&text)
        || text.len() <= LONGEST_WORD && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// The host as the name of a node; `rpc.example.org` stays what it is.
fn node_name(host: &str) -> String {
    let name: String = host.chars().filter(|c| !c.is_control()).take(64).collect();
    if name.is_empty() { "node-1".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(url: &str) -> String {
        of(&Endpoint::parse(url, "http, https").unwrap(), None).url
    }

    #[test]
    fn what_could_be_a_key_becomes_a_variable_and_words_stay() {
        for (given, wanted) in [
            ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
            ("http://[::1]:8545/", "http://[::1]:8545"),
            ("https://rpc.example.org/ext/bc/C/rpc", "https://rpc.example.org/ext/bc/C/rpc"),
            ("http://127.0.0.1:18081/json_rpc", "http://127.0.0.1:18081/json_rpc"),
            ("https://rpc.example.org/v3/0123456789abcdef", "https://rpc.example.org/v3/${RPC_KEY}"),
            ("https://rpc.example.org/?apikey=abc", "https://rpc.example.org?apikey=${RPC_KEY}"),
            (
                "https://rpc.example.org/v2/12345678?k=87654321&k2=12345678",
                "https://rpc.example.org/v2/${RPC_KEY}?k=${RPC_KEY_2}&k2=${RPC_KEY}",
            ),
            ("https://rpc.example.org/?secretsecret", "https://rpc.example.org?${RPC_KEY}"),
            ("https://rpc.example.org/a%22b", "https://rpc.example.org/${RPC_KEY}"),
        ] {
            assert_eq!(url(given), wanted);
        }
    }

    #[test]
    fn a_path_below_goes_before_the_query() {
        for (url, wanted) in [
            ("http://127.0.0.1:18081", "http://127.0.0.1:18081/json_rpc"),
            ("http://127.0.0.1:18081?key=${RPC_KEY}", "http://127.0.0.1:18081/json_rpc?key=${RPC_KEY}"),
        ] {
            assert_eq!(below(url, "/json_rpc"), wanted);
        }
    }

    #[test]
    fn the_subscription_shares_the_key() {
        let rpc = Endpoint::parse("https://rpc.example.org/v3/0123456789", "http, https").unwrap();
        let ws = Endpoint::parse("wss://rpc.example.org/ws/v3/0123456789", "ws, wss").unwrap();
        assert_eq!(of(&rpc, Some(&ws)).ws.as_deref(), Some("wss://rpc.example.org/ws/v3/${RPC_KEY}"));
    }
}
