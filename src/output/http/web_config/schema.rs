//! The keys of the file, and what each may be.

use std::{num::NonZeroU32, path::Path, time::Duration};

use http::{HeaderName, HeaderValue};

use super::{
    fault::{Faults, Spot},
    pem::Pem,
    section::{Section, text},
    suite::{CURVES, SUITES},
    tls::{ClientAuth, Tls, Version},
    tree::{Node, Value, spot},
};

/// The headers that can be set, with the values of those that have few.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-XSS-Protection", &[]),
    ("Strict-Transport-Security", &[]),
];

/// A wrong password costs as much as a right one: a hash of higher cost would let anybody occupy a processor.
const MAX_COST: u32 = 18;

/// A hash of bcrypt: its version, its cost, salt and digest.
const HASH_LENGTH: usize = 60;

/// Longest time of a rate limit: as long as the whole burst takes to be granted anew. Beyond it nobody counts, and the
/// arithmetic of the limiter ends.
const MAX_RATE: Duration = Duration::from_secs(366 * 24 * 3600);

/// Longest list of suites, curves or names.
const MAX_LIST: usize = 256;

/// Most users.
const MAX_USERS: usize = 1000;

/// What the file says, before anything it names is opened.
#[derive(Default)]
pub(super) struct Schema {
    pub tls: Option<Tls>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Names with their hashes, which are well-formed.
    pub users: Vec<(String, String)>,
    pub rate: Option<Rate>,
    pub notes: Vec<String>,
}

/// One request each `interval`, and `burst` at once.
#[derive(Clone, Copy)]
pub(super) struct Rate {
    pub interval: Duration,
    pub burst: NonZeroU32,
}

impl Schema {
    /// Reads the tree; relative paths start at `directory`.
    pub(super) fn read(tree: &Node, directory: &Path, faults: &mut Faults) -> Self {
        let mut schema = Self::default();
        let mut root = Section::of(Some(tree), faults);
        schema.read_tls(Section::of(root.node("tls_server_config"), faults), directory, faults);
        schema.read_http(Section::of(root.node("http_server_config"), faults), faults);
        schema.read_users(&Section::of(root.node("basic_auth_users"), faults), faults);
        schema.read_rate(Section::of(root.node("rate_limit"), faults), faults);
        root.finish(faults);
        schema
    }

    fn read_tls(&mut self, mut section: Section<'_>, directory: &Path, faults: &mut Faults) {
        if section.is_empty() {
            return;
        }
        let spot = section.spot();
        let certificate = pem(&mut section, ("cert", "cert_file"), directory, faults);
        let key = pem(&mut section, ("key", "key_file"), directory, faults);
        let (auth, auth_spot) = client_auth(&mut section, faults);
        let authorities = pem(&mut section, ("client_ca", "client_ca_file"), directory, faults);
        let allowed_names = section.texts("client_allowed_sans", faults);
        let min = version(&mut section, "min_version", faults).unwrap_or(Version::Tls12);
        let max = version(&mut section, "max_version", faults).unwrap_or(Version::Tls13);
        let suites = self.choice(section.texts("cipher_suites", faults), SUITES, "cipher suite", faults);
        let server_order = section.flag("prefer_server_cipher_suites", faults).unwrap_or(true);
        let curves = self.choice(section.texts("curve_preferences", faults), CURVES, "curve", faults);
        section.finish(faults);
        if max < min {
            faults.note(spot, "`max_version` is below `min_version`".to_owned());
        }
        for (given, keys) in [(certificate.is_some(), "`cert_file` or `cert`"), (key.is_some(), "`key_file` or `key`")]
        {
            if !given {
                faults.note(spot, format!("{keys} is missing"));
            }
        }
        check_clients(auth, auth_spot.unwrap_or(spot), authorities.as_ref(), allowed_names.is_some(), faults);
        if !auth.verifies() && authorities.is_some() {
            self.notes.push("the client CA is not looked at: `client_auth_type` verifies nothing".to_owned());
        }
        let (Some(certificate), Some(key)) = (certificate, key) else { return };
        let allowed_names = allowed_names.map(|names| names.into_iter().map(|(name, _)| name).collect());
        self.tls =
            Some(Tls { certificate, key, auth, authorities, allowed_names, min, max, suites, server_order, curves });
    }

    /// What the names stand for; those that we lack are left out, as long as any remains.
    fn choice<T: Copy>(
        &mut self,
        names: Option<Vec<(String, Spot)>>,
        known: &[(&'static str, Option<T>)],
        what: &str,
        faults: &mut Faults,
    ) -> Vec<T> {
        let names = names.unwrap_or_default();
        if MAX_LIST < names.len() {
            faults.note(names[MAX_LIST].1, format!("more than {MAX_LIST} entries"));
        }
        let mut found = Vec::new();
        for (name, spot) in names.iter().take(MAX_LIST) {
            match known.iter().find(|(known, _)| known == name) {
                Some((_, Some(ours))) => found.push(*ours),
                Some((name, None)) => self.notes.push(format!("the {what} {name} is not offered here")),
                None => faults.note(*spot, format!("this is not a known {what}")),
            }
        }
        if let Some((_, spot)) = names.first().filter(|_| found.is_empty() && faults.is_empty()) {
            faults.note(*spot, format!("no {what} of this list is offered here"));
        }
        found
    }

    fn read_http(&mut self, mut section: Section<'_>, faults: &mut Faults) {
        if section.flag("http2", faults) == Some(true) {
            self.notes.push("HTTP/2 is not offered here; clients use HTTP/1.1".to_owned());
        }
        let mut headers = Section::of(section.node("headers"), faults);
        for (name, values) in HEADERS {
            let Some((value, spot)) = headers.text(name, faults) else { continue };
            if !values.is_empty() && !values.contains(&value.as_str()) {
                faults.note(spot, format!("{name} can be {}", values.join(" or ")));
                continue;
            }
            match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                (Ok(name), Ok(value)) => self.headers.push((name, value)),
                _ => faults.note(spot, "this cannot stand in a header".to_owned()),
            }
        }
        headers.finish(faults);
        section.finish(faults);
    }

    fn read_users(&mut self, section: &Section<'_>, faults: &mut Faults) {
        for (name, node) in section.entries().iter().take(MAX_USERS) {
            let Some((hash, spot)) = text(node, faults) else { continue };
            match fault_of_hash(&hash) {
                Some(fault) => faults.note(spot, fault),
                None => self.users.push((name.value.clone(), hash)),
            }
        }
        if let Some((name, _)) = section.entries().get(MAX_USERS) {
            faults.note(spot(&name.referenced), format!("more than {MAX_USERS} users"));
        }
    }

    fn read_rate(&mut self, mut section: Section<'_>, faults: &mut Faults) {
        let interval = section.node("interval").and_then(|node| interval(node, faults)).unwrap_or_default();
        let burst = section.node("burst").and_then(|node| burst(node, faults));
        let spot = section.spot();
        section.finish(faults);
        if interval.is_zero() {
            return;
        }
        match burst {
            Some(burst) if interval.checked_mul(burst.get()).is_none_or(|whole| MAX_RATE < whole) => {
                faults.note(spot, "`interval` times `burst` is more than a year".to_owned());
            }
            Some(burst) => self.rate = Some(Rate { interval, burst }),
            None => faults.note(spot, "`burst` must be at least 1, or every request would be refused".to_owned()),
        }
    }
}

fn pem(
    section: &mut Section<'_>,
    keys: (&'static str, &'static str),
    directory: &Path,
    faults: &mut Faults,
) -> Option<Pem> {
    match (section.text(keys.0, faults), section.text(keys.1, faults)) {
        (Some((_, spot)), Some(_)) => {
            faults.note(spot, format!("`{}` and `{}` exclude each other", keys.0, keys.1));
            None
        }
        (Some((text, spot)), None) => Some(Pem::Inline(text, spot)),
        // A path is quoted where it leads nowhere; a key must not be.
        (None, Some((text, spot))) if text.contains(['\n', '\0']) || text.contains("-----") => {
            faults
                .note(spot, format!("`{}` is the path of a file; the text itself belongs under `{}`", keys.1, keys.0));
            None
        }
        (None, Some((path, spot))) => Some(Pem::File(directory.join(path), spot)),
        (None, None) => None,
    }
}

fn client_auth(section: &mut Section<'_>, faults: &mut Faults) -> (ClientAuth, Option<Spot>) {
    let Some((name, spot)) = section.text("client_auth_type", faults) else { return (ClientAuth::None, None) };
    let known = ClientAuth::named(&name);
    if known.is_none() {
        faults.note(spot, format!("`client_auth_type` is one of {}", ClientAuth::NAMES.join(", ")));
    }
    (known.unwrap_or(ClientAuth::None), Some(spot))
}

/// What is said about client certificates must fit together: a list that nobody looks at would protect nothing.
fn check_clients(auth: ClientAuth, spot: Spot, authorities: Option<&Pem>, names: bool, faults: &mut Faults) {
    match authorities {
        None if auth.verifies() => {
            faults.note(spot, "`client_ca_file` or `client_ca` is missing: certificates are verified".to_owned());
        }
        Some(authorities) if auth == ClientAuth::None => {
            faults.note(authorities.spot(), "there is a client CA, but no `client_auth_type`".to_owned());
        }
        _ => {}
    }
    if names && !auth.requires() {
        let message = "`client_allowed_sans` needs RequireAnyClientCert or RequireAndVerifyClientCert";
        faults.note(spot, message.to_owned());
    }
}

fn version(section: &mut Section<'_>, key: &'static str, faults: &mut Faults) -> Option<Version> {
    let (name, spot) = section.text(key, faults)?;
    match name.as_str() {
        "TLS13" => return Some(Version::Tls13),
        "TLS12" => return Some(Version::Tls12),
        "TLS11" | "TLS10" => faults.note(spot, "TLS 1.0 and 1.1 are not offered here; write TLS12 or TLS13".to_owned()),
        _ => faults.note(spot, format!("`{key}` is TLS12 or TLS13")),
    }
    None
}

/// Why `hash` is not one that passwords can be compared with.
fn fault_of_hash(hash: &str) -> Option<String> {
    let parts = hash.parse::<bcrypt::HashParts>();
    let known = ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|version| hash.starts_with(version));
    match parts {
        Ok(parts) if known && hash.len() == HASH_LENGTH => (MAX_COST < parts.get_cost())
            .then(|| format!("a cost of more than {MAX_COST} would let anybody occupy a processor for seconds")),
        _ => Some("this is not a hash of bcrypt".to_owned()),
    }
}

fn interval(node: &Node, faults: &mut Faults) -> Option<Duration> {
    let parsed = match &node.value {
        // Go counts nanoseconds.
        Value::Number(number) => u64::try_from(*number).ok().map(Duration::from_nanos),
        Value::Text(text) => duration(text),
        Value::Nothing => Some(Duration::ZERO),
        _ => None,
    };
    if parsed.is_none() {
        faults.note(spot(&node.referenced), "this is not a duration like 1s, 500ms or 1m30s".to_owned());
    }
    parsed
}

fn burst(node: &Node, faults: &mut Faults) -> Option<NonZeroU32> {
    match node.value {
        Value::Number(0) | Value::Nothing => None,
        Value::Number(number) if (0..=i128::from(u32::MAX)).contains(&number) => {
            u32::try_from(number).ok().and_then(NonZeroU32::new)
        }
        _ => {
            faults.note(spot(&node.referenced), "`burst` must be a whole number, not negative".to_owned());
            None
        }
    }
}

/// A duration as Go writes it: `1.5s`, `1m30s`, `250ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let unit = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(unit);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let seconds = match &after[..end] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = &after[end..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, wanted) in [
            ("1s", Some(Duration::from_secs(1))),
            ("1m30s", Some(Duration::from_secs(90))),
            ("1.5s", Some(Duration::from_millis(1500))),
            ("250ms", Some(Duration::from_millis(250))),
            ("2µs", Some(Duration::from_micros(2))),
            ("1h", Some(Duration::from_secs(3600))),
            ("", None),
            ("1", None),
            ("s", None),
            ("1d", None),
            ("1..5s", None),
            ("-1s", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(duration(text), wanted, "{text}");
        }
    }
}
