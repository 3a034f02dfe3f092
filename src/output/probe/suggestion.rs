//! The configuration that would watch a node that was probed. What could be a key is a variable in it.

use std::fmt::Write as _;

use super::name::chain_name;
use crate::observation::probe::Report;

/// Longest name of a network or a node that a configuration takes, in characters.
pub const MAX_SUGGESTED_NAME: usize = 64;

/// One `[[network]]` with one `[[network.node]]`; `None` if there is no node to watch.
#[must_use]
pub fn config(report: &Report) -> Option<String> {
    let (family, facts) = (report.family?, report.facts.as_ref()?);
    let chain_id = facts.chain_id.as_deref();
    let mut out = format!("[[network]]\nname = {}\nfamily = \"{family}\"\n", text(&network_name(family, chain_id)));
    // Writing to a string cannot fail; so below.
    if let Some(id) = chain_id {
        let id = if id.parse::<i64>().is_ok() { id.to_owned() } else { text(id) };
        let _ = writeln!(out, "chain_id = {id}");
    }
    if let Some(genesis) = facts.genesis {
        let _ = writeln!(out, "genesis = \"{genesis}\"");
    }
    if let Some(block_time) = report.block_time {
        let _ =
            writeln!(out, "block_time = \"{}\"  # observed over {} blocks", spoken(block_time.mean), block_time.blocks);
    }
    let name: String = report.address.name.chars().take(MAX_SUGGESTED_NAME).collect();
    let _ = write!(out, "\n[[network.node]]\nname = {}\nurl = {}\n", text(&name), text(&report.address.url));
    if let Some(ws) = &report.address.ws {
        let _ = writeln!(out, "ws = {}", text(ws));
    }
    write_headers(&mut out, &report.address.headers);
    Some(out)
}

fn write_headers(out: &mut String, headers: &[String]) {
    let mut others = Vec::new();
    for header in headers {
        if header.eq_ignore_ascii_case("authorization") {
            out.push_str("bearer_token = \"${RPC_TOKEN}\"\n");
        } else {
            let variable: String = header.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            others.push(format!("{} = \"${{RPC_HEADER_{}}}\"", text(header), variable.to_uppercase()));
        }
    }
    if !others.is_empty() {
        let _ = writeln!(out, "headers = {{ {} }}", others.join(", "));
    }
}

fn network_name(family: &str, chain_id: Option<&str>) -> String {
    let known = chain_id.and_then(|id| chain_name(family, id)).filter(|name| !name.starts_with("a "));
    let name = known.map(|name| name.to_lowercase().replace(' ', "-"));
    name.unwrap_or_else(|| chain_id.map_or_else(|| format!("{family}-network"), |id| format!("{family}-{id}")))
        .chars()
        .take(MAX_SUGGESTED_NAME)
        .collect()
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
fn spoken(duration: std::time::Duration) -> String {
    let ms = duration.as_millis().max(1);
    match ms {
        0..1000 => format!("{ms}ms"),
        _ if ms % 1000 < 50 || 950 <= ms % 1000 => format!("{}s", (ms + 500) / 1000),
        _ => format!("{}ms", (ms + 50) / 100 * 100),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn strings_and_durations_are_those_of_a_configuration() {
        assert_eq!(text("a\"b\\c\n"), r#""a\"b\\c""#);
        for (ms, wanted) in [(0, "1ms"), (450, "450ms"), (1990, "2s"), (2010, "2s"), (2340, "2300ms"), (12_049, "12s")]
        {
            assert_eq!(spoken(Duration::from_millis(ms)), wanted);
        }
    }

    #[test]
    fn a_network_is_called_after_its_chain() {
        assert_eq!(network_name("evm", Some("1")), "ethereum");
        assert_eq!(network_name("evm", Some("31337")), "evm-31337");
        assert_eq!(network_name("evm", None), "evm-network");
    }
}
