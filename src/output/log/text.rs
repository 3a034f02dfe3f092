//! Escaping: no field of a log line can end the line, move the cursor, colour the terminal or reverse the text.

use std::fmt::Write;

/// Longest value in bytes; what is longer is cut and ends in `…`.
pub const MAX_VALUE_BYTES: usize = 4096;

/// Whether a character must not appear in a line as it is: controls (C0, DEL, C1), separators of lines, marks that
/// change the direction of text or are not seen.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Appends `value` inside double quotes, so that it is a JSON string.
pub fn push_quoted(out: &mut String, value: &str) {
    let (kept, is_cut) = cut(value);
    out.push('"');
    for c in kept.chars() {
        push_escaped(out, c);
    }
    out.push_str(if is_cut { "…\"" } else { "\"" });
}

/// Appends `value` bare where that is unambiguous, else quoted: the rule of logfmt.
pub fn push_logfmt(out: &mut String, value: &str) {
    let is_bare = |c: char| !c.is_whitespace() && !is_unsafe(c) && !matches!(c, '"' | '=' | '\\');
    if !value.is_empty() && value.len() <= MAX_VALUE_BYTES && value.chars().all(is_bare) {
        out.push_str(value);
    } else {
        push_quoted(out, value);
    }
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if is_unsafe(c) => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
        c => out.push(c),
    }
}

fn cut(value: &str) -> (&str, bool) {
    if value.len() <= MAX_VALUE_BYTES {
        return (value, false);
    }
    (&value[..value.floor_char_boundary(MAX_VALUE_BYTES)], true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(value: &str) -> String {
        let mut out = String::new();
        push_quoted(&mut out, value);
        out
    }

    #[test]
    fn whatever_a_field_holds_it_stays_on_its_line_and_reads_back_unchanged() {
        let hostile = "a\nb\r\x1b[31m\u{7f}\u{85}\u{9b}\u{202e}\u{2028}\u{2066}\u{e0041}\"\\\t\0";
        let written = quoted(hostile);
        assert!(written.is_ascii() && !written.chars().any(char::is_control), "{written}");
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), hostile);
    }

    #[test]
    fn ordinary_text_of_any_language_stays_readable() {
        assert_eq!(quoted("网络停止 – café"), "\"网络停止 – café\"");
    }

    #[test]
    fn logfmt_quotes_what_would_be_ambiguous() {
        for (value, wanted) in
            [("up", "up"), ("", "\"\""), ("a b", "\"a b\""), ("a=b", "\"a=b\""), ("c\"d", "\"c\\\"d\""), ("1.5", "1.5")]
        {
            let mut out = String::new();
            push_logfmt(&mut out, value);
            assert_eq!(out, wanted);
        }
    }

    #[test]
    fn a_huge_value_is_cut_at_a_character() {
        let written = quoted(&"é".repeat(MAX_VALUE_BYTES));
        assert!(written.len() <= MAX_VALUE_BYTES + 5 && written.ends_with("é…\""), "{}", written.len());
    }
}
