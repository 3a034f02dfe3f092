//! The configuration that would watch a node that was probed. What could be a key is a variable in it.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use super::name::chain_name;
use crate::{
    model::Height,
    observation::{
        Facts,
        probe::{Address, BlockTime, Report},
    },
};

/// Longest name of a network or a node that a configuration takes, in characters.
pub const MAX_SUGGESTED_NAME: usize = 64;

/// A configuration takes no longer block time, and a chain that idles has none.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A `[[network]]` with one `[[network.node]]` for each chain that the node serves; `None` if there is no node to watch.
#[must_use]
pub fn config(report: &Report) -> Option<String> {
    let (family, facts) = (report.family?, report.facts.as_ref()?);
    let mut out = String::new();
    write_network(&mut out, report, family, facts, report.kind.groups.first());
    for group in report.kind.groups.iter().skip(1) {
        // Only the first was asked: what it told of its blocks says nothing of the others.
        let chain = Facts { chain_id: facts.chain_id.clone(), ..Facts::at_height(Height(0)) };
        out.push('\n');
        write_network(&mut out, &Report { block_time: None, ..report.clone() }, family, &chain, Some(group));
    }
    Some(out)
}

fn write_network(out: &mut String, report: &Report, family: &str, facts: &Facts, group: Option<&Arc<str>>) {
    let (kind, chain_id) = (&report.kind, facts.chain_id.as_deref());
    let name = network_name(family, kind.variant, chain_id, group.map(|group| &**group));
    // Writing to a string cannot fail; so below.
    let _ = writeln!(out, "[[network]]\nname = {}\nfamily = \"{family}\"", literal(&name));
    if let Some(variant) = kind.variant {
        let _ = writeln!(out, "variant = \"{variant}\"");
    }
    if let Some(group) = group {
        let _ = writeln!(out, "group = {}", literal(group));
    }
    if let Some(id) = chain_id.and_then(written_id) {
        let _ = writeln!(out, "chain_id = {id}");
    }
    if let Some(genesis) = facts.genesis {
        let _ = writeln!(out, "genesis = \"{genesis}\"");
    }
    if let Some(cadence) = kind.cadence {
        let _ = writeln!(out, "cadence = \"{cadence}\"");
    }
    if let Some(BlockTime { mean, blocks }) = report.block_time.filter(|it| !kind.on_demand && it.mean <= LONGEST) {
        let _ = writeln!(out, "block_time = \"{}\"  # observed over {blocks} blocks", spoken(mean));
    }
    write_node(out, &report.address);
}

fn write_node(out: &mut String, address: &Address) {
    let name: String = address.name.chars().take(MAX_SUGGESTED_NAME).collect();
    let _ = write!(out, "\n[[network.node]]\nname = {}\nurl = {}\n", literal(&name), text(&address.url));
    if let Some(ws) = &address.ws {
        let _ = writeln!(out, "ws = {}", text(ws));
    }
    if let Some(path) = &address.cookie_file {
        let _ = writeln!(out, "cookie_file = {}", literal(path));
    }
    write_headers(out, address);
}

fn write_headers(out: &mut String, address: &Address) {
    let mut others = Vec::new();
    for header in &address.headers {
        if header.eq_ignore_ascii_case("authorization") {
            out.push_str(match address.basic_auth {
                // The cookie is sent in its place.
                _ if address.cookie_file.is_some() => "",
                true => "basic_auth = { username = \"${RPC_USER}\", password = \"${RPC_PASSWORD}\" }\n",
                false => "bearer_token = \"${RPC_TOKEN}\"\n",
            });
        } else {
            let variable: String = header.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            others.push(format!("{} = \"${{RPC_HEADER_{}}}\"", text(header), variable.to_uppercase()));
        }
    }
    if !others.is_empty() {
        let _ = writeln!(out, "headers = {{ {} }}", others.join(", "));
    }
}

/// `ethereum`, `evm-1337`, `dogecoin-main`, `fisco-bcos-3-chain0-group0`: no two chains of a node are called the same.
fn network_name(family: &str, variant: Option<&str>, chain_id: Option<&str>, group: Option<&str>) -> String {
    // Relatives of Bitcoin are chains of their own, though all of them are called `main`.
    let kind = variant.filter(|variant| family == "bitcoin" && *variant != "regtest").unwrap_or(family);
    let known = chain_id.and_then(|id| chain_name(family, id)).filter(|name| !name.starts_with("a "));
    let known = known.map(|name| name.to_lowercase().replace(' ', "-"));
    let usual = || chain_id.map_or_else(|| format!("{kind}-network"), |id| format!("{kind}-{id}"));
    let group = group.map(|group| format!("-{group}")).unwrap_or_default();
    let room = MAX_SUGGESTED_NAME.saturating_sub(group.chars().count());
    let name: String = known.unwrap_or_else(usual).chars().take(room).collect();
    format!("{}{group}", name.trim())
}

/// A chain id as a configuration takes it; `None` if it takes no such thing.
fn written_id(id: &str) -> Option<String> {
    if id.parse::<i64>().is_ok_and(|number| 0 <= number && number.to_string() == id) {
        return Some(id.to_owned());
    }
    let is_usable = !id.is_empty() && id.trim() == id && id.chars().count() <= MAX_SUGGESTED_NAME;
    is_usable.then(|| literal(id))
}

/// A TOML string in which nothing refers to a variable or a file, whatever a node wrote into it.
fn literal(value: &str) -> String {
    text(&value.replace("${", "$${"))
}

/// A TOML string.
fn text(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A duration with no more digits than a mean of timestamps deserves: tenths of seconds, or milliseconds below one.
fn spoken(duration: Duration) -> String {
    let ms = duration.as_millis().max(1);
    match ms {
        0..1000 => format!("{ms}ms"),
        _ if ms % 1000 < 50 || 950 <= ms % 1000 => format!("{}s", (ms + 500) / 1000),
        _ => format!("{}ms", (ms + 50) / 100 * 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_durations_are_those_of_a_configuration() {
        assert_eq!(text("a\"b\\c\n"), r#""a\"b\\c""#);
        assert_eq!(literal("${file:/etc/passwd} for $5"), r#""$${file:/etc/passwd} for $5""#);
        for (ms, wanted) in [(0, "1ms"), (450, "450ms"), (1990, "2s"), (2010, "2s"), (2340, "2300ms"), (12_049, "12s")]
        {
            assert_eq!(spoken(Duration::from_millis(ms)), wanted);
        }
    }

    #[test]
    fn a_chain_id_is_written_as_it_is_read() {
        for (id, wanted) in [
            ("1", Some("1")),
            ("007", Some("\"007\"")),
            ("-5", Some("\"-5\"")),
            ("18446744073709551615", Some("\"18446744073709551615\"")),
            ("cosmoshub-4", Some("\"cosmoshub-4\"")),
            ("${HOME}", Some("\"$${HOME}\"")),
            ("space ", None),
            ("", None),
        ] {
            assert_eq!(written_id(id).as_deref(), wanted, "{id}");
        }
    }

    #[test]
    fn a_network_is_called_after_its_chain() {
        let long = "c".repeat(100);
        for (family, variant, chain_id, group, wanted) in [
            ("evm", None, Some("1"), None, "ethereum"),
            ("evm", Some("qbft"), Some("31337"), None, "evm-31337"),
            ("evm", None, None, None, "evm-network"),
            ("bitcoin", Some("dogecoin"), Some("main"), None, "dogecoin-main"),
            ("bitcoin", Some("regtest"), Some("regtest"), None, "bitcoin-regtest"),
            ("fisco-bcos-3", None, Some("chain0"), Some("group1"), "fisco-bcos-3-chain0-group1"),
        ] {
            assert_eq!(network_name(family, variant, chain_id, group), wanted);
        }
        let name = network_name("fisco-bcos-3", None, Some(&long), Some("group1"));
        assert!(name.len() == MAX_SUGGESTED_NAME && name.ends_with("c-group1"), "{name}");
    }
}
