//! `[probe]`: what `GET /probe` may be asked for.

use super::{kind::flag, section::Section};
use crate::chain::probe::Settings;

/// Reads the section.
pub(super) fn read(mut section: Section<'_>) -> Settings {
    let mut settings = Settings::default();
    section.set("allow_arbitrary_targets", flag, &mut settings.allow_arbitrary_targets);
    section.finish();
    settings
}
