//! Small files that outlive the process, each replaced whole: whatever breaks in the middle of writing, the old one or
//! the new one is there. What they hold is for their owner alone.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A file that is read and replaced whole. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeFile(Arc<Path>);

impl WholeFile {
    /// The file of that name in the directory of the daemon's state, neither of which need be there.
    #[must_use]
    pub fn inside(directory: &Path, name: &str) -> Self {
        Self(Arc::from(directory.join(name)))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What it holds; `None` if it is not there.
    ///
    /// # Errors
    /// What the operating system says, or that it is larger than `limit` bytes.
    pub fn read(&self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(&self.0) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if limit < bytes.len() as u64 {
            return Err(io::Error::other(format!("larger than {limit} bytes")));
        }
        Ok(Some(bytes))
    }

    /// Replaces it. Whoever reads it meanwhile sees the old or the new one.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let directory = self.0.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let new = self.new_path();
        // What a crash left behind may have another mode.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, &self.0)?;
        File::open(directory)?.sync_all()
    }

    /// Moves it out of the way of a new one, if it is of no use: whoever wrote it may still want it. Returns where it is.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_aside(&self) -> io::Result<PathBuf> {
        let aside = self.beside(".unusable");
        fs::rename(&self.0, &aside)?;
        Ok(aside)
    }

    fn new_path(&self) -> PathBuf {
        self.beside(".new")
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.0.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A directory of this test's own, removed at the end.
    pub(crate) struct Directory(pub(crate) PathBuf);

    impl Directory {
        pub(crate) fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("haltwatch-storage-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_was_written_last_is_read_and_what_was_never_written_is_not_there() {
        let directory = Directory::new("life");
        let file = WholeFile::inside(&directory.0.join("deep"), "it.json");
        assert_eq!(file.read(9).unwrap(), None);
        file.replace(b"first, and longer").unwrap();
        file.replace(b"second").unwrap();
        assert_eq!(file.read(9).unwrap().as_deref(), Some(&b"second"[..]));
    }

    #[test]
    fn a_file_at_its_limit_is_read_and_a_larger_one_refused() {
        let directory = Directory::new("limit");
        let file = WholeFile::inside(&directory.0, "it.json");
        file.replace(b"12345").unwrap();
        assert_eq!(file.read(5).unwrap().unwrap(), b"12345");
        assert!(file.read(4).unwrap_err().to_string().contains("larger than 4 bytes"));
    }

    #[test]
    fn whoever_dies_in_the_middle_leaves_the_old_one_whole_and_the_next_one_in_nobodys_way() {
        let directory = Directory::new("crash");
        let file = WholeFile::inside(&directory.0, "it.json");
        file.replace(b"old").unwrap();
        fs::write(file.new_path(), "ne").unwrap();
        assert_eq!(file.read(9).unwrap().unwrap(), b"old");
        file.replace(b"new").unwrap();
        assert_eq!(file.read(9).unwrap().unwrap(), b"new");
        assert!(!file.new_path().exists());
    }

    #[test]
    fn it_is_for_its_owner_alone_whatever_lay_there() {
        let directory = Directory::new("mode");
        let file = WholeFile::inside(&directory.0, "it.json");
        fs::create_dir_all(&directory.0).unwrap();
        fs::write(file.path(), "old").unwrap();
        fs::write(file.new_path(), "left behind").unwrap();
        file.replace(b"new").unwrap();
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
