//! Writes HTML in which nothing but the names of elements and attributes is taken literally: every text and every
//! attribute's value is escaped on its way in, so there is no way to forget it.

/// A piece of HTML being written.
#[derive(Debug, Default)]
pub struct Html(String);

/// Attributes of an element.
pub type Attributes<'a> = &'a [(&'static str, &'a str)];

/// Elements that have no content and no end.
const VOID: [&str; 3] = ["meta", "link", "br"];

impl Html {
    /// The beginning of a document.
    #[must_use]
    pub fn document() -> Self {
        Self("<!DOCTYPE html>\n".to_owned())
    }

    /// An element with what `content` writes into it.
    pub fn element(&mut self, name: &'static str, attributes: Attributes<'_>, content: impl FnOnce(&mut Self)) {
        self.0.push('<');
        self.0.push_str(name);
        for (attribute, value) in attributes {
            self.0.push(' ');
            self.0.push_str(attribute);
            self.0.push_str("=\"");
            self.text(value);
            self.0.push('"');
        }
        self.0.push('>');
        if VOID.contains(&name) {
            return;
        }
        content(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// An element that holds only text.
    pub fn leaf(&mut self, name: &'static str, attributes: Attributes<'_>, text: &str) {
        self.element(name, attributes, |it| it.text(text));
    }

    /// An element without content.
    pub fn void(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.element(name, attributes, |_| {});
    }

    /// Text, escaped for elements and for attributes in double quotes alike.
    pub fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                _ => self.0.push(c),
            }
        }
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_attributes_cannot_break_out() {
        let mut html = Html::default();
        html.leaf("p", &[("title", "\" onclick='x' <a>")], "<script>alert(1)</script> & co");
        assert_eq!(
            html.finish(),
            "<p title=\"&quot; onclick=&#39;x&#39; &lt;a&gt;\">&lt;script&gt;alert(1)&lt;/script&gt; &amp; co</p>"
        );
    }

    #[test]
    fn void_elements_have_no_end() {
        let mut html = Html::default();
        html.void("meta", &[("charset", "utf-8")]);
        assert_eq!(html.finish(), "<meta charset=\"utf-8\">");
    }
}
