//! The file in which silences survive a restart. Comments may name customers: it is for its owner alone.

use std::{io, path::Path};

use crate::{engine::silence::Silence, model::Now, output::api::silences, storage::WholeFile};

/// Largest file that is read: a thousand silences at their largest fit.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

const NAME: &str = "silences.json";

/// The file. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct SilenceFile(WholeFile);

impl SilenceFile {
    /// The file in the directory of the daemon's state.
    pub(super) fn inside(directory: &Path) -> Self {
        Self(WholeFile::inside(directory, NAME))
    }

    /// What was kept. A file that is of no use is told and silences nothing: too loud is better than too quiet.
    pub(super) fn read(&self) -> Vec<Silence> {
        let file = self.0.path().display();
        match self.0.read(MAX_BYTES) {
            Ok(None) => Vec::new(),
            Ok(Some(bytes)) => silences::read(&bytes).unwrap_or_else(|| {
                tracing::warn!(%file, "{file} is broken or of another version; no silence of it is in force");
                Vec::new()
            }),
            Err(error) => {
                tracing::warn!(%file, %error, "{file} cannot be read, no silence of it is in force: {error}");
                Vec::new()
            }
        }
    }

    /// Replaces the file.
    pub(super) fn write(&self, list: &[Silence], now: Now) -> io::Result<()> {
        self.0.replace(&silences::written(list, now))
    }
}
