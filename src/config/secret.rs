//! Secrets are kept out of the file: `${NAME}` is a variable of the environment, `${file:PATH}` the content of a file,
//! `$${` a literal `${`. What they stand for is never part of a problem: only the variable or the path as written is.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Component, Path},
};

use super::suspect::looks_like_a_secret;

/// Largest file that holds a secret.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// What opens a reference.
const OPEN: &str = "${";

/// Where secrets are looked up.
pub(super) struct Vault<'a> {
    /// Where relative paths start.
    pub directory: &'a Path,
    /// The variables of the environment.
    pub environment: &'a dyn Fn(&str) -> Option<OsString>,
}

/// Hears of what is dangerous about a reference that can be followed, and what to do about it.
pub(super) type Warn<'w> = dyn Fn(String, &'static str) + 'w;

/// A reference that cannot be followed: what is wrong, and what would be right.
pub(super) type Refusal = (String, &'static str);

const HELP: &str = "write ${NAME}, ${file:/path} or, for the characters themselves, $${";

impl Vault<'_> {
    /// `text` with every reference replaced. What a reference stands for is taken as it is.
    /// `warn` hears of files that others can read.
    pub(super) fn expand(&self, text: &str, warn: &Warn<'_>) -> Result<String, Refusal> {
        self.expand_noting(text, warn, &mut Vec::new())
    }

    /// The same, and `values` takes what the references stand for.
    pub(super) fn expand_noting(
        &self,
        text: &str,
        warn: &Warn<'_>,
        values: &mut Vec<String>,
    ) -> Result<String, Refusal> {
        if text.strip_prefix('$').is_some_and(looks_like_a_variable) {
            return Err(("a variable needs braces".to_owned(), "write ${NAME}"));
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(OPEN) {
            let (before, reference) = rest.split_at(at);
            let reference = &reference[OPEN.len()..];
            if let Some(before) = before.strip_suffix('$') {
                out.push_str(before);
                out.push_str(OPEN);
                rest = reference;
                continue;
            }
            let end = end_of(reference).ok_or_else(|| ("`${` is not closed".to_owned(), HELP))?;
            out.push_str(before);
            let value = self.resolve(&reference[..end], warn)?;
            out.push_str(&value);
            values.push(value);
            rest = &reference[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn resolve(&self, reference: &str, warn: &Warn<'_>) -> Result<String, Refusal> {
        match reference.strip_prefix("file:") {
            Some(path) if path.contains("${file:") => {
                Err(("a path cannot come from a file".to_owned(), "write ${file:${NAME}/path} or ${file:/path}"))
            }
            Some(path) => self.file(path, warn),
            None => self.variable(reference),
        }
    }

    fn variable(&self, name: &str) -> Result<String, Refusal> {
        if !is_variable_name(name) {
            return Err(("what stands between `${` and `}` is not the name of a variable".to_owned(), HELP));
        }
        let what = format!("the environment variable {}", shown(name));
        let value = (self.environment)(name)
            .ok_or_else(|| (format!("{what} is not set"), "set it where haltwatch starts"))?
            .into_string()
            .map_err(|_| (format!("{what} is not UTF-8"), "set it to plain text"))?;
        clean(&value, &what)
    }

    fn file(&self, written: &str, warn: &Warn<'_>) -> Result<String, Refusal> {
        let path = self.directory.join(self.expand(written, warn)?);
        let what = format!("the secret file {}", shown(written));
        let (bytes, mode) =
            read_secret(&path).map_err(|error| (format!("{what} cannot be read: {error}"), "check path and owner"))?;
        if let Some(mode) = mode.filter(|_| !self.is_credential(&path)) {
            warn(format!("{what} is open to others: {mode}"), "chmod 600, or 640 with owner root");
        }
        if MAX_SECRET_BYTES < bytes.len() as u64 {
            return Err((format!("{what} is larger than 64 KiB"), "a token is much shorter"));
        }
        let text =
            String::from_utf8(bytes).map_err(|_| (format!("{what} is not UTF-8"), "a secret is one line of text"))?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        clean(line.strip_suffix('\r').unwrap_or(line), &what)
    }

    /// Whether systemd guards the file, whatever its mode.
    fn is_credential(&self, path: &Path) -> bool {
        let directory = (self.environment)("CREDENTIALS_DIRECTORY").filter(|directory| !directory.is_empty());
        directory.is_some_and(|directory| {
            path.starts_with(directory) && !path.components().any(|part| part == Component::ParentDir)
        })
    }
}

/// The name of a variable or a file, unless it could be a secret in the wrong place.
fn shown(name: &str) -> &str {
    if looks_like_a_secret(name) { "here" } else { name }
}

/// Where the `}` stands that closes a reference, nested references skipped.
fn end_of(reference: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, letter) in reference.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn is_variable_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether this is how people write variables. What is meant literally can come from a variable or a file itself.
fn looks_like_a_variable(name: &str) -> bool {
    is_variable_name(name) && !name.contains(|c: char| c.is_ascii_lowercase())
}

/// Whether somewhere in `text` a variable is named without its braces.
pub(super) fn lacks_braces(text: &str) -> bool {
    let after_dollar = text.split('$').skip(1);
    let names = after_dollar.map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next());
    names.flatten().any(looks_like_a_variable)
}

/// Whether a text refers to a variable or a file.
pub(super) fn has_reference(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find(OPEN) {
        if !rest[..at].ends_with('$') {
            return true;
        }
        rest = &rest[at + OPEN.len()..];
    }
    false
}

/// The content, and the mode of the file if it is open to others.
fn read_secret(path: &Path) -> io::Result<(Vec<u8>, Option<String>)> {
    let metadata = path.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes)?;
    let open = is_open(metadata.mode(), metadata.uid());
    Ok((bytes, open.then(|| mode_of(metadata.mode()))))
}

/// Whether others than the owner can read or change a file. A file of root must be read through its group.
fn is_open(mode: u32, owner: u32) -> bool {
    let allowed = if owner == 0 { 0o740 } else { 0o700 };
    mode & 0o777 & !allowed & !0o011 != 0
}

/// `-rw-r--r--`.
fn mode_of(mode: u32) -> String {
    let letters = "rwxrwxrwx".chars().enumerate();
    let bits = letters.map(|(n, letter)| if mode & (0o400 >> n) == 0 { '-' } else { letter });
    std::iter::once('-').chain(bits).collect()
}

/// An empty secret is a mistake somewhere else, a control character would break the request it ends up in.
fn clean(value: &str, what: &str) -> Result<String, Refusal> {
    if value.is_empty() {
        return Err((format!("{what} is empty"), "a secret has at least one character"));
    }
    if value.chars().any(char::is_control) {
        return Err((format!("{what} holds control characters"), "a secret is one line of text"));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, String> {
        let environment = |name: &str| match name {
            "TOKEN" => Some(OsString::from("S3CR3T")),
            "REFERENCE" => Some(OsString::from("${TOKEN}")),
            "DIRECTORY" => Some(OsString::from(env!("CARGO_MANIFEST_DIR"))),
            "EMPTY" => Some(OsString::new()),
            "LINES" => Some(OsString::from("S3CR3T\nS3CR3T")),
            _ => None,
        };
        let vault = Vault { directory: Path::new(env!("CARGO_MANIFEST_DIR")), environment: &environment };
        vault.expand(text, &|_, _| {}).map_err(|(message, _)| message)
    }

    #[test]
    fn references_are_replaced_once_and_everything_else_is_left_alone() {
        for (text, wanted) in [
            ("", ""),
            ("plain $ {x} $x }", "plain $ {x} $x }"),
            ("a${TOKEN}b${TOKEN}", "aS3CR3TbS3CR3T"),
            ("${REFERENCE}", "${TOKEN}"),
            ("$${TOKEN} costs $5", "${TOKEN} costs $5"),
            ("$5 is$RIGHT", "$5 is$RIGHT"),
            ("$$${TOKEN}", "$${TOKEN}"),
            ("${file:tests/data/config/token}", "S3CR3T"),
            ("${file:${DIRECTORY}/tests/data/config/token}!", "S3CR3T!"),
        ] {
            assert_eq!(expand(text).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn a_reference_that_leads_nowhere_is_named_and_nothing_it_leads_to_is() {
        for (text, wanted) in [
            ("${NONE}", "the environment variable NONE is not set"),
            ("${EMPTY}", "the environment variable EMPTY is empty"),
            ("${LINES}", "the environment variable LINES holds control characters"),
            ("${}", "what stands between `${` and `}` is not the name of a variable"),
            ("${5}", "what stands between `${` and `}` is not the name of a variable"),
            ("${TOKEN", "`${` is not closed"),
            ("$TOKEN", "a variable needs braces"),
            ("${file:${file:x}}", "a path cannot come from a file"),
            ("${file:${TOKEN}/x}", "the secret file ${TOKEN}/x cannot be read: No such file or directory (os error 2)"),
        ] {
            assert_eq!(expand(text), Err(wanted.to_owned()), "{text}");
        }
    }

    #[test]
    fn only_files_that_need_not_be_open_are_called_open() {
        for (mode, owner, wanted) in [
            (0o600, 1000, false),
            (0o400, 0, false),
            (0o640, 0, false),
            (0o640, 1000, true),
            (0o660, 0, true),
            (0o644, 0, true),
            (0o602, 0, true),
            (0o711, 1000, false),
        ] {
            assert_eq!(is_open(mode, owner), wanted, "{mode:o} of {owner}");
        }
        assert_eq!(mode_of(0o100_644), "-rw-r--r--");
        assert_eq!(mode_of(0o100_751), "-rwxr-x--x");
    }

    #[test]
    fn an_escaped_reference_is_none() {
        for (text, wanted) in [("", false), ("${A}", true), ("$${A}", false), ("$${A}${B}", true), ("$$$", false)] {
            assert_eq!(has_reference(text), wanted, "{text}");
        }
    }
}
