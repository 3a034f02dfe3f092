//! The web configuration file in the schema that Prometheus exporters share: TLS, users, headers and a rate limit, kept
//! apart from the main configuration because it is written once for all exporters of a machine.
//!
//! Everything that is wrong is told at once, with line and column. No value of the file is ever quoted but a path that
//! leads nowhere: any of them may be a key or a hash in the wrong place.

mod fault;
mod pem;
mod san;
mod schema;
mod section;
mod suite;
mod tls;
mod tree;
mod users;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::{HeaderName, HeaderValue};

pub use self::{
    fault::Broken,
    users::{Outcome, Users},
};
use self::{fault::Faults, schema::Schema};

/// Largest file that is read: this one, a certificate chain, a list of authorities.
const FILE_BYTES: u64 = 1024 * 1024;

/// What a web configuration file asks for, ready for use.
#[derive(Debug)]
pub struct WebConfig {
    /// How connections are encrypted; `None` = they are not.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Who may ask; nobody = everybody may.
    pub users: Option<Users>,
    /// Headers of every answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What the file asks for and does not get.
    pub notes: Vec<String>,
    /// Whether there is nothing in the file at all.
    pub is_blank: bool,
    limiter: Option<DefaultDirectRateLimiter>,
}

impl WebConfig {
    /// Reads the file and all files it names.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(path: &Path) -> Result<Self, Broken> {
        Self::load_noting(path).0
    }

    /// The same, with every file that the outcome depends on.
    pub(super) fn load_noting(path: &Path) -> (Result<Self, Broken>, Vec<PathBuf>) {
        let mut files = vec![path.to_owned()];
        let mut faults = Faults::default();
        let config = read(path, &mut files, &mut faults);
        let outcome = match config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(faults.of(path)),
        };
        (outcome, files)
    }

    /// Whether the rate limit leaves room for one more request, which then counts.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.limiter.as_ref().is_none_or(|limiter| limiter.check().is_ok())
    }
}

fn read(path: &Path, files: &mut Vec<PathBuf>, faults: &mut Faults) -> Option<WebConfig> {
    let text = pem::bounded(path).map_err(|error| faults.note_whole(format!("cannot be read: {error}"))).ok()?;
    let Ok(text) = String::from_utf8(text) else {
        faults.note_whole("is not UTF-8".to_owned());
        return None;
    };
    let tree = tree::parse(&text).map_err(|(spot, message)| faults.note(spot, message.to_owned())).ok()?;
    let schema = Schema::read(&tree, path.parent().unwrap_or(Path::new("")), faults);
    if let Some(tls) = &schema.tls {
        files.extend(tls.files());
    }
    let tls = match &schema.tls {
        Some(tls) => Some(tls.server_config(faults)?),
        None => None,
    };
    let quota = schema.rate.and_then(|rate| Some(Quota::with_period(rate.interval)?.allow_burst(rate.burst)));
    Some(WebConfig {
        tls: tls.map(Arc::new),
        users: Users::new(schema.users),
        headers: schema.headers,
        notes: schema.notes,
        is_blank: matches!(tree.value, tree::Value::Nothing),
        limiter: quota.map(RateLimiter::direct),
    })
}
