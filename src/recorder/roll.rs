//! A file that makes room: when it is full it becomes `.1`, what was `.1` becomes `.2`, and the last one goes.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use super::Settings;

/// Who watches what is nobody else's business.
const MODE: u32 = 0o600;

/// The newest file and where the older ones stand.
#[derive(Debug)]
pub(super) struct Roll {
    settings: Settings,
    file: File,
    /// Bytes of whole lines in it.
    length: u64,
    /// A pipe or a device is written to as it is.
    rolls: bool,
}

impl Roll {
    /// A new file; one that is there already is moved aside.
    pub(super) fn open(settings: &Settings) -> io::Result<Self> {
        let rolls = fs::symlink_metadata(&settings.file).map_or(true, |it| it.is_file());
        let file = if rolls { fresh(settings)? } else { OpenOptions::new().append(true).open(&settings.file)? };
        Ok(Self { settings: settings.clone(), file, length: 0, rolls })
    }

    /// Whether the file would be too large with so many bytes more.
    pub(super) fn is_full(&self, more: usize) -> bool {
        self.rolls && self.settings.max_size <= self.length.saturating_add(more as u64)
    }

    /// Begins another file, unless this one is still empty.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        if self.rolls && 0 < self.length {
            self.file = fresh(&self.settings)?;
            self.length = 0;
        }
        Ok(())
    }

    /// Appends whole lines: all of them, or none.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(lines);
        if written.is_err() && self.rolls {
            // What is left of a line that could not be finished. If even that fails, a replay says that the last line
            // is the beginning of one.
            let _ = self.file.set_len(self.length);
        }
        written?;
        self.length = self.length.saturating_add(lines.len() as u64);
        Ok(())
    }
}

/// Moves the files one place on and makes a new one.
fn fresh(settings: &Settings) -> io::Result<File> {
    let is_there = fs::symlink_metadata(&settings.file).is_ok_and(|it| 0 < it.len());
    if is_there {
        for place in (1..settings.keep.saturating_sub(1)).rev() {
            absent_is_fine(fs::rename(aside(settings, place), aside(settings, place + 1)))?;
        }
        if 1 < settings.keep {
            fs::rename(&settings.file, aside(settings, 1))?;
        }
    }
    // Of one that is empty, or not to be kept, the new one has nothing, not even its permissions.
    absent_is_fine(fs::remove_file(&settings.file))?;
    OpenOptions::new().append(true).create_new(true).mode(MODE).open(&settings.file)
}

fn aside(settings: &Settings, place: u32) -> PathBuf {
    let mut name = settings.file.clone().into_os_string();
    name.push(format!(".{place}"));
    PathBuf::from(name)
}

fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
