//! What one inquiry at an endpoint found: a plain report for the command line, for Prometheus and for the check of a
//! configuration. Everything in it that a node said has been bounded and cleaned; nothing in it is secret.

use std::{sync::Arc, time::Duration};

use super::{ErrorKind, Facts};
use crate::model::UnixTime;

/// The outcome of one inquiry. What was not asked or not answered is `None` or empty.
#[derive(Debug, Clone)]
pub struct Report {
    /// `https://host:port/…`.
    pub endpoint: String,
    /// When the inquiry began, by our clock.
    pub begun: UnixTime,
    /// How long it took.
    pub elapsed: Duration,
    /// How long it was allowed to take.
    pub timeout: Duration,
    /// The connection, once there was one.
    pub connection: Option<Connection>,
    /// When the certificate ended that was refused because its time is over.
    pub expired_at: Option<UnixTime>,
    /// The family that knew the answers, as in the configuration (`"evm"`).
    pub family: Option<&'static str>,
    /// What else a configuration has to say of its chain.
    pub kind: Kind,
    /// What the node said of itself.
    pub facts: Option<Arc<Facts>>,
    /// When these facts arrived, by our clock, and how long the node took for them.
    pub heard: Option<(UnixTime, Duration)>,
    /// Why it is not a node that can be watched; `None` if it is one.
    pub failure: Option<ProbeError>,
    /// How fast it answers.
    pub latency: Option<Latency>,
    /// Whether it takes several calls in one request.
    pub batch: Option<bool>,
    /// What became of each method of the family.
    pub methods: Vec<Method>,
    /// What the answers do not hold where the configuration looks for it.
    pub untold: Vec<String>,
    /// Whether new heads can be subscribed to, where an address for that was given.
    pub new_heads: Option<bool>,
    /// How long blocks took lately.
    pub block_time: Option<BlockTime>,
    /// How a configuration would name this endpoint.
    pub address: Address,
}

impl Report {
    /// Whether the endpoint answered as a node.
    #[must_use]
    pub fn is_node(&self) -> bool {
        self.failure.is_none() && self.facts.is_some()
    }
}

/// What a configuration has to say of a chain beside its family, as far as the node's answers prove it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kind {
    /// The variant of the family: the declared one, else the one that is proven.
    pub variant: Option<&'static str>,
    /// The variant that the node's own answers prove.
    pub proven: Option<&'static str>,
    /// The chains that the node serves, where its family has several in one node; the first of them was asked.
    pub groups: Vec<Arc<str>>,
    /// Whether blocks come only when there is work: how long they took lately says nothing then.
    pub on_demand: bool,
    /// The cadence, where neither family nor variant says it.
    pub cadence: Option<&'static str>,
}

/// What a new connection is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// Name, connection and TLS together.
    pub elapsed: Duration,
    /// TLS, if the connection is wrapped in it.
    pub tls: Option<Tls>,
}

/// A TLS session whose certificate was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tls {
    /// `TLSv1_3`.
    pub version: &'static str,
    /// When the certificate ends.
    pub not_after: Option<UnixTime>,
}

/// How fast a node answers, over several requests for its head on an open connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// The first request, connecting included.
    pub first: Duration,
    /// The fastest of the others.
    pub best: Duration,
    /// The one in the middle of the others.
    pub median: Duration,
}

/// How long blocks took lately, by the timestamps of their producers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockTime {
    /// The mean.
    pub mean: Duration,
    /// Over so many blocks.
    pub blocks: u64,
}

/// A method of the family's, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// `eth_getBlockByNumber latest`.
    pub name: String,
    /// What became of it.
    pub access: Access,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Answered with a value.
    Open,
    /// Answered without a value: known, and nothing to say at present.
    Empty,
    /// Answered with an error.
    Refused,
    /// The node has no such method, or does not offer it.
    Missing,
    /// Not answered.
    Unanswered,
}

impl Access {
    /// The word used in texts and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Empty => "empty",
            Self::Refused => "refused",
            Self::Missing => "missing",
            Self::Unanswered => "unanswered",
        }
    }
}

/// How a configuration would name an endpoint: whatever could be a key is a reference to a variable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// A name made of the host.
    pub name: String,
    /// `https://rpc.example.org/v3/${RPC_KEY}`.
    pub url: String,
    /// The same for the subscription, if there is one.
    pub ws: Option<String>,
    /// Names of the headers that were sent.
    pub headers: Vec<String>,
    /// Whether the header that authenticates holds user and password.
    pub basic_auth: bool,
    /// The file whose content authenticates instead.
    pub cookie_file: Option<String>,
}

/// Why an endpoint is not a node that can be watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeError {
    /// The closed reason: metric label, JSON field, text and advice come from it.
    pub reason: Reason,
    /// More for people: bounded, cleaned, free of secrets. May be empty.
    pub detail: Arc<str>,
}

/// What is wrong with a certificate or a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFault {
    /// The certificate has ended.
    Expired,
    /// The certificate has not begun.
    NotYetValid,
    /// The certificate is for another name.
    WrongName,
    /// Nobody we trust has signed it.
    UnknownIssuer,
    /// What answered does not speak TLS.
    NotTls,
    /// Anything else.
    Other,
}

impl From<TlsFault> for Reason {
    fn from(fault: TlsFault) -> Self {
        match fault {
            TlsFault::Expired => Self::TlsExpired,
            TlsFault::NotYetValid => Self::TlsNotYetValid,
            TlsFault::WrongName => Self::TlsWrongName,
            TlsFault::UnknownIssuer => Self::TlsUnknownIssuer,
            TlsFault::NotTls => Self::NotTls,
            TlsFault::Other => Self::Tls,
        }
    }
}

impl From<ErrorKind> for Reason {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Dns => Self::Dns,
            ErrorKind::Refused => Self::Refused,
            ErrorKind::Unreachable => Self::Unreachable,
            ErrorKind::Reset => Self::Reset,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Tls => Self::Tls,
            ErrorKind::Http5xx => Self::Http5xx,
            ErrorKind::HttpStatus => Self::HttpStatus,
            ErrorKind::Redirect => Self::Redirect,
            ErrorKind::Malformed => Self::Malformed,
            ErrorKind::TooLarge => Self::TooLarge,
            ErrorKind::Rpc => Self::Rpc,
            ErrorKind::RateLimited => Self::RateLimited,
            ErrorKind::Unauthorized => Self::Unauthorized,
            ErrorKind::Starting => Self::Starting,
            ErrorKind::Local => Self::Local,
        }
    }
}

macro_rules! reasons {
    ($($reason:ident = $label:literal, $says:literal, $advice:literal;)*) => {
        /// Every way in which an inquiry can fail.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $(#[doc = $says] $reason,)* }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$reason,)*];

            /// The word used as metric label and JSON field.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$reason => $label,)* }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub fn says(self) -> &'static str {
                match self { $(Self::$reason => $says,)* }
            }

            /// What to do about it.
            #[must_use]
            pub fn advice(self) -> &'static str {
                match self { $(Self::$reason => $advice,)* }
            }
        }
    };
}

reasons! {
    Dns = "dns", "The host name does not resolve.",
        "Check the spelling of the host, and the resolver of this machine: getent hosts NAME.";
    Refused = "refused", "Nothing listens at this address and port, or a firewall refuses.",
        "Check the port, whether the node runs, and that it listens on more than its own loopback.";
    Unreachable = "unreachable", "There is no route to the host.",
        "Check routes and firewalls between this machine and the node.";
    Reset = "reset", "The connection was closed before the answer was complete.",
        "Check whether the scheme is right (http or https) and what the node or its front server logs.";
    Timeout = "timeout", "No complete answer within the deadline.",
        "A firewall that drops packets or an overloaded node looks like this; try a longer --timeout.";
    Tls = "tls", "The TLS handshake failed.",
        "Look at the handshake: openssl s_client -connect HOST:PORT -servername HOST.";
    TlsExpired = "tls_expired", "The certificate has expired.",
        "Renew the certificate; if it is new, check that the server has loaded it and that our clock is right.";
    TlsNotYetValid = "tls_not_yet_valid", "The certificate is not valid yet.",
        "Check the clocks of this machine and of the one that made the certificate.";
    TlsWrongName = "tls_wrong_name", "The certificate is for another name.",
        "Use the name that the certificate has, or get one for this name.";
    TlsUnknownIssuer = "tls_unknown_issuer", "Nobody this machine trusts has signed the certificate.",
        "Add the issuer to the trust store of this machine, or have the server send its whole chain.";
    NotTls = "not_tls", "What answered does not speak TLS.",
        "Use http:// instead of https://, or the port of the TLS server.";
    Forbidden = "forbidden", "haltwatch does not connect to link-local and metadata addresses on request.",
        "Put the node into the configuration if it really is there.";
    Unauthorized = "unauthorized", "The node is there and refuses us (HTTP 401 or 403), or credentials of ours cannot be read.",
        "Check key, token, headers and the files of certificates; geth also refuses names that are not in --http.vhosts; a Bitcoin node wants cookie_file or basic_auth.";
    RateLimited = "rate_limited", "The node is there and limits our requests (HTTP 429 or 402, or a spent quota).",
        "Ask less often (interval, requests_per_second), or get a larger quota.";
    NotFound = "not_found", "There is no such path on this server (HTTP 404).",
        "Check the path of the URL: many providers want the chain and the key in it.";
    Redirect = "redirect", "The server redirects us elsewhere, which is never followed.",
        "Use the address it redirects to; often it is https:// instead of http://.";
    Http5xx = "http_5xx", "The server fails, or its backend is gone (HTTP 5xx).",
        "Look at the front server and at the node behind it.";
    HttpStatus = "http_status", "The server answers with a status that no node answers with.",
        "Check port and path: this may be another service.";
    Html = "html", "A web page instead of a node.",
        "Check port and path; a proxy or a login page may stand in front of the node.";
    WebSocket = "websocket", "This address speaks WebSocket only.",
        "Give the address of HTTP requests as the URL and this one as --ws.";
    Metrics = "metrics", "These are metrics for Prometheus, not a node.",
        "Use the port of the node's RPC instead of that of its metrics.";
    Malformed = "malformed", "The answer is not what the protocol says.",
        "Check port and path: this may be another service, or another family of nodes.";
    UnknownFamily = "unknown_family", "It answers, but as no family of nodes that haltwatch knows.",
        "Check port and path; if it is a node, say which with --family.";
    OtherFamily = "other_family", "It answers, but not as the nodes of this family do.",
        "Check family, port and path; a probe without a family finds out which one it is.";
    TooLarge = "too_large", "The answer is larger than the limit.",
        "Check port and path; if this is right, raise body_limit.";
    Rpc = "rpc", "The node answers the call for its head with an error.",
        "Look at the log of the node; a group that it does not serve looks like this too.";
    Starting = "starting", "The node says that it is still starting.",
        "Wait; if it lasts, look at its log and its peers.";
    Local = "local", "This machine ran out of file descriptors, memory or ports.",
        "Look at ulimit -n and the memory of this machine.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_of_a_poll_is_a_failure_of_a_probe_under_the_same_word() {
        for kind in ErrorKind::ALL {
            assert_eq!(Reason::from(*kind).as_str(), kind.as_str());
        }
    }
}
