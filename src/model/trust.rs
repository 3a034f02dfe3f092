//! Who vouches for an endpoint, and who we are there: files of certificates and keys where the machine's own trust is not
//! what is wanted. Only their paths; they are read when a connection is opened.

use std::path::PathBuf;

/// Files for TLS with one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    /// Certificates of those who may vouch for the server, PEM; `None` for whom the machine trusts.
    pub authorities: Option<PathBuf>,
    /// The certificate we show, with those that vouch for it, and its private key, both PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Trust {
    /// Whether nothing is said: the trust of the machine, and no certificate of ours.
    #[must_use]
    pub fn is_ordinary(&self) -> bool {
        *self == Self::default()
    }
}
