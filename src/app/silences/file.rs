//! The file in which silences survive a restart. Comments may name customers: it is for its owner alone.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{engine::silence::Silence, model::Now, output::api::silences};

/// Largest file that is read: a thousand silences at their largest fit.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

const NAME: &str = "silences.json";

/// The file. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct SilenceFile(Arc<Path>);

impl SilenceFile {
    /// The file in the directory of the daemon's state.
    pub(super) fn inside(directory: &Path) -> Self {
        Self(Arc::from(directory.join(NAME)))
    }

    /// What was kept. A file that is of no use is told and silences nothing: too loud is better than too quiet.
    pub(super) fn read(&self) -> Vec<Silence> {
        let file = self.0.display();
        match self.bytes() {
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

    fn bytes(&self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        match File::open(&self.0) {
            Ok(file) => file.take(MAX_BYTES).read_to_end(&mut bytes).map(|_| Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file: whatever breaks meanwhile, the old or the new one is there, whole.
    pub(super) fn write(&self, list: &[Silence], now: Now) -> io::Result<()> {
        let directory = self.0.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let new: PathBuf = self.0.with_extension("json.new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(&silences::written(list, now))?;
        file.sync_all()?;
        fs::rename(&new, &self.0)?;
        File::open(directory)?.sync_all()
    }
}
