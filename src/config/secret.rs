//! Secrets are kept out of the file: `${NAME}` is a variable of the environment, `${file:PATH}` the content of a file,
//! `$${` a literal `${`. What they stand for is never part of a problem: only the variable or the path as written is.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    path::Path,
};

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

/// A reference that cannot be followed: what is wrong, and what would be right.
pub(super) type Refusal = (String, &'static str);

const HELP: &str = "write ${NAME}, ${file:/path} or, for the characters themselves, $${";

impl Vault<'_> {
    /// `text` with every reference replaced. What a reference stands for is taken as it is.
    pub(super) fn expand(&self, text: &str) -> Result<String, Refusal> {
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
            out.push_str(&self.resolve(&reference[..end])?);
            rest = &reference[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn resolve(&self, reference: &str) -> Result<String, Refusal> {
        match reference.strip_prefix("file:") {
            Some(path) if path.contains("${file:") => {
                Err(("a path cannot come from a file".to_owned(), "write ${file:${NAME}/path} or ${file:/path}"))
            }
            Some(path) => self.file(path),
            None => self.variable(reference),
        }
    }

    fn variable(&self, name: &str) -> Result<String, Refusal> {
        if !is_variable_name(name) {
            return Err(("what stands between `${` and `}` is not the name of a variable".to_owned(), HELP));
        }
        let value = (self.environment)(name)
            .ok_or_else(|| (format!("the environment variable {name} is not set"), "set it where haltwatch starts"))?;
        let value = value
            .into_string()
            .map_err(|_| (format!("the environment variable {name} is not UTF-8"), "set it to plain text"))?;
        clean(&value, &format!("the environment variable {name}"))
    }

    fn file(&self, written: &str) -> Result<String, Refusal> {
        let path = self.directory.join(self.expand(written)?);
        let bytes = read_secret(&path)
            .map_err(|error| (format!("the secret file {written} cannot be read: {error}"), "check path and owner"))?;
        if MAX_SECRET_BYTES < bytes.len() as u64 {
            return Err((format!("the secret file {written} is larger than 64 KiB"), "a token is much shorter"));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| (format!("the secret file {written} is not UTF-8"), "a secret is one line of text"))?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        clean(line.strip_suffix('\r').unwrap_or(line), &format!("the secret file {written}"))
    }
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

fn read_secret(path: &Path) -> io::Result<Vec<u8>> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
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
        vault.expand(text).map_err(|(message, _)| message)
    }

    #[test]
    fn references_are_replaced_once_and_everything_else_is_left_alone() {
        for (text, wanted) in [
            ("", ""),
            ("plain $ {x} $x }", "plain $ {x} $x }"),
            ("a${TOKEN}b${TOKEN}", "aS3CR3TbS3CR3T"),
            ("${REFERENCE}", "${TOKEN}"),
            ("$${TOKEN} costs $5", "${TOKEN} costs $5"),
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
            ("${file:${file:x}}", "a path cannot come from a file"),
            ("${file:${TOKEN}/x}", "the secret file ${TOKEN}/x cannot be read: No such file or directory (os error 2)"),
        ] {
            assert_eq!(expand(text), Err(wanted.to_owned()), "{text}");
        }
    }
}
