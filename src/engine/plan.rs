//! Halts that were announced: by the configuration, by a notice, by the chain itself.

use crate::model::PlannedHalt;

/// Announcements remembered of one network at the most; the oldest go first.
const ANNOUNCED: usize = 64;

/// What was announced about one network while we were running.
#[derive(Debug, Default)]
pub struct Plans {
    announced: Vec<PlannedHalt>,
}

impl Plans {
    /// Remembers an announcement.
    pub fn announce(&mut self, planned: PlannedHalt) {
        if self.announced.contains(&planned) {
            return;
        }
        if self.announced.len() == ANNOUNCED {
            self.announced.remove(0);
        }
        self.announced.push(planned);
    }
}
