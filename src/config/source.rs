//! Where a configuration comes from: a file, or a text that is already there (the demo and tests).

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{code::Code, problem::Problem};

/// Largest configuration: 100,000 nodes fit.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Where a configuration comes from. `Debug` shows the path, never the text: it may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// A file. Relative paths of secrets start at its directory.
    File(PathBuf),
    /// What arrives on the standard input. Relative paths of secrets start at the working directory.
    Stdin,
    /// The text itself. Relative paths of secrets start at the working directory.
    Text(String),
}

/// The path of the file, `<stdin>` or `<text>`.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Stdin => f.write_str("<stdin>"),
            Self::Text(_) => f.write_str("<text>"),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Source {
    /// Where relative paths start.
    pub(super) fn directory(&self) -> &Path {
        match self {
            Self::File(path) => path.parent().unwrap_or(Path::new("")),
            Self::Stdin | Self::Text(_) => Path::new(""),
        }
    }

    /// The whole text.
    pub(super) fn read(&self) -> Result<String, Box<Problem>> {
        let bytes = match self {
            Self::File(path) => File::open(path).and_then(read_all),
            Self::Stdin => read_all(io::stdin()),
            Self::Text(text) => Ok(text.clone().into_bytes()),
        };
        let unreadable =
            |message, help: Option<&str>| Box::new(Problem::new(Code::Unreadable, message, help.map(Into::into)));
        let bytes = bytes.map_err(|error| unreadable(format!("cannot be read: {error}"), None))?;
        if MAX_BYTES < bytes.len() as u64 {
            let help = "watch some networks with another haltwatch";
            return Err(unreadable("larger than 16 MiB".to_owned(), Some(help)));
        }
        String::from_utf8(bytes).map_err(|error| Box::new(not_utf8(error.as_bytes(), error.utf8_error().valid_up_to())))
    }
}

fn read_all(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A problem at the first byte that is not UTF-8.
fn not_utf8(bytes: &[u8], at: usize) -> Problem {
    let good = String::from_utf8_lossy(&bytes[..at]);
    let good = good.strip_prefix('\u{feff}').unwrap_or(&good);
    Problem {
        line: good.split('\n').count(),
        column: good.rsplit('\n').next().unwrap_or_default().chars().count() + 1,
        ..Problem::new(Code::Unreadable, "not UTF-8", Some("save the file in the encoding UTF-8".to_owned()))
    }
}
