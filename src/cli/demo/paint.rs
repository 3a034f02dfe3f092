//! Lines of coloured words. Colour only underlines what a word already says, so that nothing is lost without it.

use std::fmt::Write as _;

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Nothing in particular.
    Plain,
    /// A heading.
    Strong,
    /// Of lesser weight.
    Faint,
    /// As it should be.
    Good,
    /// At rest.
    Calm,
    /// Not known, or not quite right.
    Doubtful,
    /// Trouble.
    Bad,
}

impl Paint {
    /// The parameters of the terminal's "select graphic rendition" sequence (ECMA-48, 8.3.117).
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Calm => "36",
            Self::Doubtful => "33",
            Self::Bad => "1;31",
        }
    }
}

/// A line of the view.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line(Vec<(Paint, String)>);

impl Line {
    /// A line of one piece.
    #[must_use]
    pub fn of(paint: Paint, text: impl Into<String>) -> Self {
        Self::default().with(paint, text)
    }

    /// The line with one more piece at its end.
    #[must_use]
    pub fn with(mut self, paint: Paint, text: impl Into<String>) -> Self {
        self.0.push((paint, text.into()));
        self
    }

    /// The line followed by another.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// How many columns it fills.
    #[must_use]
    pub fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// The line as it is written, cut to `width` columns, with or without colours.
    #[must_use]
    pub fn write(&self, width: usize, colours: bool) -> String {
        let mut left = width;
        let cut = width < self.width();
        let mut written = String::new();
        for (paint, text) in &self.0 {
            let keep = if cut { left.saturating_sub(1) } else { left };
            let shown: String = text.chars().take(keep).collect();
            left -= shown.chars().count();
            if colours && *paint != Paint::Plain && !shown.is_empty() {
                // Writing to a string cannot fail.
                let _ = write!(written, "\u{1b}[{}m{shown}\u{1b}[0m", paint.code());
            } else {
                written.push_str(&shown);
            }
        }
        if cut && 0 < width {
            written.push('…');
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_to_the_width_of_the_terminal_whatever_its_colours() {
        let line = Line::of(Paint::Good, "live").with(Paint::Plain, " and well");
        assert_eq!(line.write(80, false), "live and well");
        assert_eq!(line.write(13, false), "live and well");
        assert_eq!(line.write(8, false), "live an…");
        assert_eq!(line.write(3, true), "\u{1b}[32mli\u{1b}[0m…");
        assert_eq!(line.write(80, true), "\u{1b}[32mlive\u{1b}[0m and well");
        assert_eq!(line.write(0, true), "");
    }
}
