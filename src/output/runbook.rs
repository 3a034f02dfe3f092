//! What to do when an alert fires. The runbooks travel inside the binary and are served by it, so that whoever is woken
//! at night gets a page that opens; an operator with a site of his own names that instead.

mod shelf;

use std::sync::Arc;

pub use self::shelf::SHELF;
use crate::model::AlertName;

/// The path under which the runbooks are served.
pub const PATH: &str = "/runbooks/";

/// What stands for the name of the alert in a template.
pub const PLACEHOLDER: &str = "{alertname}";

/// The file that lists all of them.
pub const INDEX: &str = "README";

/// Where the runbook of an alert is read: a URL with [`PLACEHOLDER`] in it, or nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Runbooks(Option<Arc<str>>);

impl Runbooks {
    /// On the site of the operator.
    #[must_use]
    pub fn at(template: &str) -> Self {
        Self(Some(Arc::from(template)))
    }

    /// On our own server, which its readers find at `external_url`.
    #[must_use]
    pub fn served_at(external_url: &str) -> Self {
        Self::at(&format!("{}{PATH}{PLACEHOLDER}", external_url.trim_end_matches('/')))
    }

    /// These, or if nothing is known of them, those of our own server.
    #[must_use]
    pub fn or_served_at(self, external_url: Option<&str>) -> Self {
        if self.0.is_some() { self } else { external_url.map(Self::served_at).unwrap_or_default() }
    }

    /// The URL for the alert called `name`.
    #[must_use]
    pub fn url(&self, name: &str) -> Option<String> {
        self.0.as_ref().filter(|_| is_known(name)).map(|template| template.replace(PLACEHOLDER, name))
    }
}

/// Whether an alert of that name is one of haltwatch's own, which all have runbooks. Rules of users bring their own links.
#[must_use]
pub fn is_known(name: &str) -> bool {
    AlertName::ALL.iter().any(|alert| alert.as_str() == name)
}

/// The text of the runbook called `name`, in Markdown; the index for no name.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    let name = if name.is_empty() { INDEX } else { name };
    SHELF.iter().find(|(title, _)| *title == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_own_site_goes_before_ours() {
        let url = |runbooks: Runbooks| runbooks.or_served_at(Some("http://watch:10019/")).url("NodeOffline");
        assert_eq!(url(Runbooks::default()).unwrap(), "http://watch:10019/runbooks/NodeOffline");
        assert_eq!(
            url(Runbooks::at("https://wiki.example.org/{alertname}.md?v={alertname}")).unwrap(),
            "https://wiki.example.org/NodeOffline.md?v=NodeOffline"
        );
        assert_eq!(Runbooks::default().or_served_at(None).url("NodeOffline"), None);
    }
}
