//! What a target means: which node of which network it is. Labels become its keys, one table for all of them:
//! `docs/discovery.md` shows it.

use std::sync::Arc;

use super::Target;
use crate::model::{Endpoint, EndpointError, Labels, MetricsUrl, MetricsUrlError, Role};

/// The labels that are ours although their names start like those that mean nothing to us.
const OURS: [&str; 4] = ["__scheme__", "__rpc_path__", "__ws__", "__metrics_url__"];

/// The labels that become keys of the node; all others become its labels.
const KEYS: [&str; 11] = [
    "__scheme__",
    "__rpc_path__",
    "__ws__",
    "__metrics_url__",
    "core",
    "name",
    "network",
    "node",
    "role",
    "weight",
    "ws",
];

/// Characters of a target that are shown.
const MAX_SHOWN: usize = 160;

const RPC_SCHEMES: &str = "http, https";
const WS_SCHEMES: &str = "ws, wss";

/// A target read as a node; what only the configuration knows has not been checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name; `host:port` if no label gives one.
    pub name: Arc<str>,
    /// The network it says it belongs to.
    pub network: Arc<str>,
    /// Where it answers requests.
    pub rpc: Endpoint,
    /// Where it pushes new heads.
    pub ws: Option<Endpoint>,
    /// Where it shows its own metrics.
    pub metrics: Option<MetricsUrl>,
    /// What it is for.
    pub role: Role,
    /// Whether its loss can halt the network; `None` = as its role says.
    pub core: Option<bool>,
    /// Its weight among the core nodes.
    pub weight: u64,
    /// Everything else that is said about it.
    pub labels: Labels,
}

/// Why a target is left out: a closed set. The text holds nothing of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// Neither `host:port` nor a URL of a node.
    #[error("the address is neither host:port nor a URL of http or https")]
    Address,
    /// Credentials in the URL.
    #[error("credentials do not belong into the URL")]
    UserInfo,
    /// `__scheme__` is not `http` or `https`.
    #[error("__scheme__ is neither http nor https")]
    Scheme,
    /// `__rpc_path__` is no path.
    #[error("__rpc_path__ is not a path that starts with /")]
    Path,
    /// `__ws__` is not a URL of a WebSocket.
    #[error("__ws__ is not a URL of ws or wss")]
    Ws,
    /// `__metrics_url__` is not a plain URL.
    #[error("__metrics_url__ is not a URL of http or https without credentials and query")]
    Metrics,
    /// Nothing says which network it belongs to.
    #[error("neither the label network nor the configuration says which network it belongs to")]
    NoNetwork,
    /// It belongs to a network that is not configured.
    #[error("there is no network of that name in the configuration")]
    UnknownNetwork,
    /// Its name cannot be used.
    #[error("the name is not usable: 1 to 64 characters, no control characters, no spaces around it")]
    Name,
    /// `role` is none of the roles.
    #[error("the role is none of those there are")]
    Role,
    /// `core` is not true or false.
    #[error("core is neither true nor false")]
    Core,
    /// `weight` is not a number in its range.
    #[error("the weight is not a number from 1 to 1,000,000,000")]
    Weight,
    /// A label has a name that labels of nodes cannot have.
    #[error("a label has a name that cannot be used or that haltwatch gives its own meaning")]
    LabelName,
    /// A label has a value that labels of nodes cannot have.
    #[error("a label has a value longer than 128 bytes or with control characters")]
    LabelValue,
    /// Too many labels.
    #[error("more than 16 labels, those of the network included")]
    Labels,
    /// A node of the configuration has its name.
    #[error("a node of the configuration has this name")]
    Configured,
    /// Another target has its name.
    #[error("another target of this network has the same name")]
    NameTaken,
    /// Another node has its URL: it would have two votes.
    #[error("another node of this network has the same URL")]
    UrlTaken,
    /// There are as many nodes as one haltwatch can watch.
    #[error("there are 100,000 nodes already")]
    TooManyNodes,
}

/// Whether a label is read at all: names that start with `__` belong to whoever made the list, but for a few.
pub(super) fn is_ours(name: &str) -> bool {
    !name.starts_with("__") || OURS.contains(&name)
}

/// Reads a target as a node of the network it names, or else of `network`.
///
/// # Errors
/// Why it is none.
pub fn candidate(target: &Target, network: Option<&Arc<str>>) -> Result<Candidate, Refusal> {
    let label = |name: &str| target.labels.iter().find(|(known, _)| **known == *name).map(|(_, value)| value);
    let rpc = rpc(&target.address, label("__scheme__"), label("__rpc_path__"))?;
    let ws = label("__ws__").or_else(|| label("ws"));
    let weight = label("weight").map_or(Ok(1), |weight| weight.parse().map_err(|_| Refusal::Weight))?;
    Ok(Candidate {
        name: label("node").or_else(|| label("name")).map_or_else(|| host_and_port(&rpc), Arc::clone),
        network: label("network").or(network).map(Arc::clone).ok_or(Refusal::NoNetwork)?,
        ws: ws.map(|url| Endpoint::parse(url, WS_SCHEMES).map_err(|error| refusal(&error, Refusal::Ws))).transpose()?,
        metrics: label("__metrics_url__").map(|url| metrics(url)).transpose()?,
        role: label("role").map_or(Ok(Role::Rpc), |word| role(word).ok_or(Refusal::Role))?,
        core: label("core").map(|word| word.parse().map_err(|_| Refusal::Core)).transpose()?,
        weight,
        labels: target.labels.iter().filter(|(name, _)| !KEYS.contains(&&**name)).cloned().collect(),
        rpc,
    })
}

/// What a target may be called where it is left out: its name, or else scheme, host and port of its address.
#[must_use]
pub fn shown(target: &Target) -> String {
    let label = |name: &str| target.labels.iter().find(|(known, _)| **known == *name).map(|(_, value)| value);
    let text = match label("node").or_else(|| label("name")) {
        Some(name) => label("network").map_or_else(|| name.to_string(), |network| format!("{network}/{name}")),
        // A word without a port may be a host, or a key in the wrong place.
        None if !target.address.contains(':') => String::new(),
        None => rpc(&target.address, None, None).map(|rpc| rpc.shown().to_owned()).unwrap_or_default(),
    };
    text.chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect()
}

fn rpc(address: &str, scheme: Option<&Arc<str>>, path: Option<&Arc<str>>) -> Result<Endpoint, Refusal> {
    let url = if address.contains("://") {
        address.to_owned()
    } else {
        let scheme = scheme.map_or("http", |scheme| &**scheme);
        let path = path.map_or("", |path| &**path);
        if !RPC_SCHEMES.split(", ").any(|known| known == scheme) {
            return Err(Refusal::Scheme);
        }
        if !path.is_empty() && !path.starts_with('/') {
            return Err(Refusal::Path);
        }
        if address.contains(['/', '?', '#']) {
            return Err(Refusal::Address);
        }
        format!("{scheme}://{address}{path}")
    };
    Endpoint::parse(&url, RPC_SCHEMES).map_err(|error| refusal(&error, Refusal::Address))
}

fn refusal(error: &EndpointError, otherwise: Refusal) -> Refusal {
    if *error == EndpointError::UserInfo { Refusal::UserInfo } else { otherwise }
}

fn metrics(url: &str) -> Result<MetricsUrl, Refusal> {
    MetricsUrl::parse(url).map_err(|error| match error {
        MetricsUrlError::Url(EndpointError::UserInfo) => Refusal::UserInfo,
        _ => Refusal::Metrics,
    })
}

fn role(word: &str) -> Option<Role> {
    Role::ALL.into_iter().find(|role| role.as_str() == word)
}

/// `host:port`, with the port that the scheme implies if none is given.
fn host_and_port(rpc: &Endpoint) -> Arc<str> {
    let (host, port) = (rpc.host(), rpc.port());
    Arc::from(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(address: &str, labels: &[(&str, &str)]) -> Target {
        let labels = labels.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect();
        Target { address: Arc::from(address), labels }
    }

    fn read(address: &str, labels: &[(&str, &str)]) -> Result<Candidate, Refusal> {
        candidate(&target(address, labels), Some(&Arc::from("main")))
    }

    #[test]
    fn addresses_are_host_and_port_or_urls() {
        for (address, labels, url, name) in [
            ("10.0.0.1:8545", vec![], "http://10.0.0.1:8545", "10.0.0.1:8545"),
            ("node.example.org", vec![], "http://node.example.org", "node.example.org:80"),
            ("[::1]:8545", vec![], "http://[::1]:8545", "[::1]:8545"),
            ("a:1", vec![("__scheme__", "https"), ("__rpc_path__", "/rpc?x=1")], "https://a:1/rpc?x=1", "a:1"),
            ("https://a/v3/KEY", vec![("__scheme__", "http"), ("__rpc_path__", "/x")], "https://a/v3/KEY", "a:443"),
        ] {
            let read = read(address, &labels).unwrap();
            assert_eq!((read.rpc.url(), &*read.name), (url, name));
        }
    }

    #[test]
    fn labels_become_keys_and_the_rest_labels() {
        let labels = [
            ("__metrics_url__", "http://a:6060/debug/metrics"),
            ("__ws__", "ws://a:8546"),
            ("core", "false"),
            ("network", "other"),
            ("node", "n1"),
            ("rack", "r7"),
            ("role", "validator"),
            ("weight", "7"),
        ];
        let read = read("a:8545", &labels).unwrap();
        assert_eq!((&*read.name, &*read.network, read.role, read.core), ("n1", "other", Role::Validator, Some(false)));
        assert_eq!((read.weight, read.ws.as_ref().map(Endpoint::url)), (7, Some("ws://a:8546")));
        assert_eq!(read.metrics.map(|metrics| metrics.address.to_string()).as_deref(), Some("a:6060"));
        assert_eq!(read.labels, [(Arc::from("rack"), Arc::from("r7"))]);
    }

    #[test]
    fn what_is_wrong_is_named_and_never_quoted() {
        for (address, labels, wanted) in [
            ("", vec![], Refusal::Address),
            ("a:1/SECRET", vec![], Refusal::Address),
            ("a:99999", vec![], Refusal::Address),
            ("a b:1", vec![], Refusal::Address),
            ("ftp://a/SECRET", vec![], Refusal::Address),
            ("https://user:SECRET@a/", vec![], Refusal::UserInfo),
            ("user:SECRET@a:1", vec![], Refusal::UserInfo),
            ("a:1", vec![("__scheme__", "SECRET")], Refusal::Scheme),
            ("a:1", vec![("__rpc_path__", "SECRET")], Refusal::Path),
            ("a:1", vec![("__ws__", "http://SECRET")], Refusal::Ws),
            ("a:1", vec![("__metrics_url__", "http://a/?key=SECRET")], Refusal::Metrics),
            ("a:1", vec![("role", "SECRET")], Refusal::Role),
            ("a:1", vec![("core", "SECRET")], Refusal::Core),
            ("a:1", vec![("weight", "-1")], Refusal::Weight),
        ] {
            assert_eq!(read(address, &labels).unwrap_err(), wanted, "{address}");
            let said = format!("{} {wanted}", shown(&target(address, &labels)));
            assert!(!said.contains("SECRET"), "{said}");
        }
        assert_eq!(candidate(&target("a:1", &[]), None).unwrap_err(), Refusal::NoNetwork);
    }
}
