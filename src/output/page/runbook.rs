//! A runbook as a page. The runbooks are our own and keep to a small part of Markdown: headings, paragraphs, lists, code
//! blocks, and in a line code, strong words and links. What is no such thing is shown as it was written.

use std::iter::Peekable;

use super::html::Html;

/// What ends the name of a runbook in a link between two of them; the server needs none.
const FILE_ENDING: &str = ".md";

/// Leads from a runbook to the root of the site.
const ROOT: &str = "../";

/// The page of the runbook `text`, titled `name`. Its links are relative, for the site may stand behind a prefix.
#[must_use]
pub fn render(name: &str, text: &str) -> String {
    let mut html = Html::document();
    html.element("html", &[("lang", "en")], |html| {
        super::head(html, name, ROOT, false);
        html.element("body", &[], |html| {
            html.element("main", &[("class", "runbook")], |html| blocks(html, text));
            html.element("footer", &[], |html| {
                link(html, "All runbooks", "./");
                link(html, "What is going on now", ROOT);
            });
        });
    });
    html.finish()
}

/// What a line begins.
enum Block<'a> {
    Heading(&'static str, &'a str),
    Fence,
    /// The kind of list, the number of the item or nothing, and its words.
    Item(&'static str, &'a str, &'a str),
    Text,
}

impl<'a> Block<'a> {
    fn of(line: &'a str) -> Self {
        let numbered = line.trim_start_matches(|c: char| c.is_ascii_digit());
        match line.split_once(' ') {
            Some(("#", title)) => Self::Heading("h1", title),
            Some(("##", title)) => Self::Heading("h2", title),
            Some(("###", title)) => Self::Heading("h3", title),
            Some(("-", item)) => Self::Item("ul", "", item),
            _ if line.starts_with("```") => Self::Fence,
            _ if numbered.len() < line.len() && numbered.starts_with(". ") => {
                Self::Item("ol", &line[..line.len() - numbered.len()], &numbered[2..])
            }
            _ => Self::Text,
        }
    }
}

fn blocks(html: &mut Html, text: &str) {
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        match Block::of(line) {
            _ if line.trim().is_empty() => {}
            Block::Heading(name, title) => html.element(name, &[], |html| words(html, title)),
            Block::Fence => {
                let code: Vec<_> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
                html.element("pre", &[], |html| html.leaf("code", &[], &code.join("\n")));
            }
            Block::Item(kind, number, first) => list(html, (kind, number), first, &mut lines),
            Block::Text => {
                let text = paragraph(line, &mut lines);
                html.element("p", &[], |html| words(html, &text));
            }
        }
    }
}

/// A list of the kind `kind` that begins with the item `first`, which may not be number one: code parts a list in two.
fn list<'a>(
    html: &mut Html,
    (kind, number): (&'static str, &str),
    first: &str,
    lines: &mut Peekable<impl Iterator<Item = &'a str>>,
) {
    let start = [("start", number)];
    html.element(kind, if matches!(number, "" | "1") { &[] } else { &start }, |html| {
        let mut item = Some(paragraph(first, lines));
        while let Some(text) = item {
            html.element("li", &[], |html| words(html, &text));
            let same = |line: &&str| matches!(Block::of(line), Block::Item(next, ..) if next == kind);
            item = lines.next_if(same).and_then(|line| match Block::of(line) {
                Block::Item(.., words) => Some(paragraph(words, lines)),
                _ => None,
            });
        }
    });
}

/// `first` and the lines that go on with it.
fn paragraph<'a>(first: &str, lines: &mut Peekable<impl Iterator<Item = &'a str>>) -> String {
    let mut whole = first.trim().to_owned();
    while let Some(line) = lines.next_if(|line| !line.trim().is_empty() && matches!(Block::of(line), Block::Text)) {
        whole.push(' ');
        whole.push_str(line.trim());
    }
    whole
}

/// The words of a line with what is marked in it.
fn words(html: &mut Html, mut rest: &str) {
    while let Some(at) = rest.find(['`', '*', '[']) {
        html.text(&rest[..at]);
        rest = marked(html, &rest[at..]);
    }
    html.text(rest);
}

/// Writes the marked words at the beginning of `text` and returns what follows them.
fn marked<'a>(html: &mut Html, text: &'a str) -> &'a str {
    let between = |open: &str, close: &str| text.strip_prefix(open)?.split_once(close);
    if let Some((code, rest)) = between("`", "`") {
        html.leaf("code", &[], code);
        return rest;
    }
    if let Some((strong, rest)) = between("**", "**") {
        html.element("strong", &[], |html| words(html, strong));
        return rest;
    }
    if let Some((label, (target, rest))) = between("[", "](").and_then(|(l, rest)| Some((l, rest.split_once(')')?))) {
        link(html, label, target);
        return rest;
    }
    let (mark, rest) = text.split_at(1);
    html.text(mark);
    rest
}

fn link(html: &mut Html, label: &str, target: &str) {
    match target.strip_suffix(FILE_ENDING) {
        Some(name) => html.leaf("a", &[("href", name)], label),
        None => html.leaf("a", &[("href", target)], label),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, wanted: &str) {
        let mut html = Html::default();
        blocks(&mut html, text);
        assert_eq!(html.finish(), wanted);
    }

    #[test]
    fn the_markdown_of_runbooks_becomes_html() {
        check("# A\n\nTwo\nlines.\n\n## B", "<h1>A</h1><p>Two lines.</p><h2>B</h2>");
        check(
            "- one\n  more\n- two\n1. first\n2. second\n",
            concat!("<ul><li>one more</li><li>two</li></ul>", "<ol><li>first</li><li>second</li></ol>"),
        );
        check(
            "```sh\ncurl 'x' | a < b\n\n# c\n```\nend",
            "<pre><code>curl &#39;x&#39; | a &lt; b\n\n# c</code></pre><p>end</p>",
        );
        check(
            "`a*b` **c `d`** [e](F.md) g*h [i",
            "<p><code>a*b</code> <strong>c <code>d</code></strong> <a href=\"F\">e</a> g*h [i</p>",
        );
    }

    #[test]
    fn nothing_unfinished_is_lost_or_breaks_out() {
        check("`<script>", "<p>`&lt;script&gt;</p>");
        check("**é", "<p>**é</p>");
        check("[a](b", "<p>[a](b</p>");
        check("```\nopen", "<pre><code>open</code></pre>");
    }
}
