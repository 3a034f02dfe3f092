//! Hosts as machines rather than as texts: what is spelled differently and is the same.

use std::net::IpAddr;

use crate::model::Endpoint;

/// What every spelling of this machine becomes.
const LOOPBACK: &str = "localhost";

/// One spelling for a host: `LocalHost`, `127.0.0.1` and `::1` become `localhost`, names lose their case and the dot at
/// their end, addresses their variants.
pub(super) fn canonical(host: &str) -> String {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(address) if is_usual_loopback(&address) => LOOPBACK.to_owned(),
        Ok(address) => address.to_string(),
        Err(_) if host.ends_with(".localhost") => LOOPBACK.to_owned(),
        Err(_) => host,
    }
}

/// `127.0.0.1` and `::1`. Whoever uses the others of `127.0.0.0/8` tells them apart on purpose.
fn is_usual_loopback(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets() == [127, 0, 0, 1],
        IpAddr::V6(address) => address.is_loopback(),
    }
}

/// Whether the host is this machine as seen from itself.
pub(super) fn is_local(host: &str) -> bool {
    let host = canonical(host);
    let is_loopback = |address: IpAddr| address.is_loopback() || address.is_unspecified();
    host == LOOPBACK || host.parse().is_ok_and(is_loopback)
}

/// What two URLs have in common that differ in spelling only.
pub(super) fn spelling(endpoint: &Endpoint) -> String {
    let (host, path) = (canonical(endpoint.host()), endpoint.path_and_query().trim_end_matches('/'));
    format!("{host} {} {path}", endpoint.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_host_are_one() {
        for (host, wanted) in [
            ("LOCALHOST", "localhost"),
            ("127.0.0.1", "localhost"),
            ("0:0:0:0:0:0:0:1", "localhost"),
            ("::ffff:127.0.0.1", "localhost"),
            ("a.localhost", "localhost"),
            ("127.0.0.2", "127.0.0.2"),
            ("Node.Example.Org.", "node.example.org"),
            ("2001:DB8:0::1", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(canonical(host), wanted, "{host}");
        }
        assert!(is_local("127.0.0.2") && is_local("::") && is_local("0.0.0.0") && !is_local("192.0.2.1"));
    }
}
