//! The path of a list, with `*` in its last part standing for any run of characters.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use super::Format;

/// Where files with lists are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// The directory.
    pub directory: PathBuf,
    /// The name of the file, with or without `*`.
    pub name: String,
}

/// Why a path is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not end in the name of a file.
    #[error("not the path of a file")]
    NoFile,
    /// Nothing says how the file is written.
    #[error("the name of the file must end with .json, .yml or .yaml")]
    Extension,
    /// A `*` where it means nothing.
    #[error("a * may stand in the name of the file only, not in its directory")]
    Directory,
}

impl Pattern {
    /// Reads `path`, which starts at `base` if it is relative.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn parse(path: &str, base: &Path) -> Result<Self, PatternError> {
        let path = base.join(path);
        let name = path.file_name().and_then(OsStr::to_str).ok_or(PatternError::NoFile)?.to_owned();
        let directory = path.parent().unwrap_or(Path::new("")).to_path_buf();
        if directory.to_string_lossy().contains('*') {
            return Err(PatternError::Directory);
        }
        format_of(&name).ok_or(PatternError::Extension)?;
        Ok(Self { directory, name })
    }

    /// Whether it can match several files, or none.
    #[must_use]
    pub fn is_glob(&self) -> bool {
        self.name.contains('*')
    }

    /// Whether a file of this name is meant. Hidden files are not, unless they are named.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let hidden = name.starts_with('.') && !self.name.starts_with('.');
        !hidden && matches(&self.name, name)
    }
}

/// How the file called `name` is written, by its extension.
#[must_use]
pub(super) fn format_of(name: &str) -> Option<Format> {
    let (stem, extension) = name.rsplit_once('.')?;
    match extension {
        "json" if !stem.is_empty() => Some(Format::Json),
        "yml" | "yaml" if !stem.is_empty() => Some(Format::Yaml),
        _ => None,
    }
}

/// Whether `name` is what `pattern` means: the parts between its stars stand in it, in order and apart.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, name, wanted) in [
            ("nodes.json", "nodes.json", true),
            ("nodes.json", "other.json", false),
            ("*.json", "nodes.json", true),
            ("*.json", ".nodes.json", false),
            ("*.json", "nodes.json.tmp", false),
            ("a*b*c.json", "a-b-b-c.json", true),
            ("a*b*c.json", "a-c-b.json", false),
            ("a*a.json", "a.json", false),
            ("*.json", ".json", false),
        ] {
            let pattern = Pattern::parse(pattern, Path::new("/x")).unwrap();
            assert_eq!(pattern.matches(name), wanted, "{pattern:?} {name}");
        }
    }

    #[test]
    fn paths_that_name_no_list_are_refused() {
        for (path, wanted) in [
            ("/etc/nodes.txt", PatternError::Extension),
            ("/etc/*", PatternError::Extension),
            ("/etc/.json", PatternError::Extension),
            ("/etc/*/nodes.json", PatternError::Directory),
            ("/", PatternError::NoFile),
        ] {
            assert_eq!(Pattern::parse(path, Path::new("/x")), Err(wanted), "{path}");
        }
        let relative = Pattern::parse("nodes/*.yml", Path::new("/etc/haltwatch")).unwrap();
        assert_eq!(relative.directory, Path::new("/etc/haltwatch/nodes"));
    }
}
