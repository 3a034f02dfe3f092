//! A notification made ready for every peer at once: labels in order, texts bounded, shared instead of copied.

use std::sync::Arc;

use super::Notification;
use crate::{
    model::{Labels, UnixTime},
    output::runbook::{self, Runbooks},
};

/// Longest annotation in bytes; what is longer is cut and ends in `…`.
const MAX_ANNOTATION_BYTES: usize = 4096;
/// Annotations of one alert at the most.
const MAX_ANNOTATIONS: usize = 16;

/// The annotation with the URL of the runbook.
pub const RUNBOOK: &str = "runbook_url";

/// What makes two notifications speak of the same alert: its labels, sorted by name.
pub type Identity = Arc<Labels>;

/// The newest word on one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// All labels.
    pub identity: Identity,
    /// Texts, bounded.
    pub annotations: Arc<[(&'static str, String)]>,
    /// When it began, on our wall clock.
    pub starts_at: UnixTime,
    /// When it ended; `None` while it fires.
    pub ends_at: Option<UnixTime>,
}

impl Announcement {
    /// The announcement of `notification`, with the URL of its runbook. Labels without a value are left out: Alertmanager
    /// drops them, and the identity must be the same on both sides.
    #[must_use]
    pub fn new(notification: Notification, runbooks: &Runbooks) -> Self {
        let mut labels = notification.labels;
        labels.retain(|(_, value)| !value.is_empty());
        labels.sort();
        Self {
            identity: Arc::new(labels),
            annotations: notification.annotations.into_iter().map(|(name, text)| (name, bounded(text))).collect(),
            starts_at: notification.starts_at,
            ends_at: notification.ends_at,
        }
        .linked(runbooks)
    }

    /// The same with the URL of its runbook among these, whatever it was before. An alert that has none among them keeps
    /// what it has: it is that of the rule of a user.
    #[must_use]
    pub fn linked(mut self, runbooks: &Runbooks) -> Self {
        let name = self.identity.iter().find(|(label, _)| &**label == "alertname").map_or("", |(_, name)| name);
        if !runbook::is_known(name) {
            return self;
        }
        let runbook = runbooks.url(name).map(|url| (RUNBOOK, bounded(url)));
        let others = self.annotations.iter().filter(|(name, _)| *name != RUNBOOK).cloned();
        self.annotations = runbook.into_iter().chain(others).take(MAX_ANNOTATIONS).collect();
        self
    }
}

fn bounded(mut text: String) -> String {
    if MAX_ANNOTATION_BYTES < text.len() {
        text.truncate(text.floor_char_boundary(MAX_ANNOTATION_BYTES - '…'.len_utf8()));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn external_labels_are_added_only_where_absent() {
        let notification = Notification {
            labels: labels(&[("alertname", "NodeOffline"), ("site", "own"), ("zone", "")]),
            annotations: vec![("description", "é".repeat(MAX_ANNOTATION_BYTES))],
            starts_at: UnixTime::default(),
            ends_at: None,
        };
        let external = labels(&[("cluster", "eu"), ("site", "external")]);
        let runbooks = Runbooks::served_at("http://watch:10019");
        let announcement = Announcement::new(notification.with_labels(&external), &runbooks);
        let wanted = labels(&[("alertname", "NodeOffline"), ("cluster", "eu"), ("site", "own")]);
        assert_eq!(*announcement.identity, wanted);
        let runbook = ("runbook_url", "http://watch:10019/runbooks/NodeOffline".to_owned());
        assert_eq!(announcement.annotations[0], runbook, "and it says what to do");
        let moved = announcement.clone().linked(&Runbooks::at("https://wiki.example.org/{alertname}"));
        assert_eq!(moved.annotations[0].1, "https://wiki.example.org/NodeOffline");
        assert_eq!(moved.annotations[1..], announcement.annotations[1..]);
        assert_eq!(moved.linked(&Runbooks::default()).annotations[..], announcement.annotations[1..]);
        let text = &announcement.annotations[1].1;
        assert!(text.len() <= MAX_ANNOTATION_BYTES && text.ends_with("é…"), "{}", text.len());
    }
}
