//! Where the demo is seen: a view redrawn in place on a terminal, or plain lines anywhere else.

use std::io::{self, IsTerminal, Write};

use super::paint::Line;

/// The width that is assumed of a terminal that does not tell.
const USUAL_WIDTH: usize = 80;

/// When colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Colour {
    /// Whether to use colours. `no_color` is the value of the variable of that name: any text but none at all counts
    /// (no-color.org).
    #[must_use]
    pub fn wanted(self, on_terminal: bool, no_color: Option<&str>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => on_terminal && no_color.is_none_or(str::is_empty),
        }
    }
}

/// Standard output. On a terminal the cursor is hidden until this is dropped.
#[derive(Debug)]
pub struct Terminal {
    colours: bool,
    is_terminal: bool,
    /// Lines of the view on the screen, above the cursor.
    drawn: usize,
}

impl Terminal {
    /// Takes standard output.
    ///
    /// # Errors
    /// If it cannot be written to.
    pub fn open(colour: Colour) -> io::Result<Self> {
        let is_terminal = io::stdout().is_terminal();
        let no_color = std::env::var("NO_COLOR").ok();
        let colours = colour.wanted(is_terminal, no_color.as_deref());
        if is_terminal {
            write!(io::stdout(), "{HIDE_CURSOR}")?;
        }
        Ok(Self { colours, is_terminal, drawn: 0 })
    }

    /// Whether the view can be drawn; otherwise lines are to be written.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Columns of the terminal.
    #[must_use]
    pub fn width(&self) -> usize {
        size().map_or(USUAL_WIDTH, |(columns, _)| columns)
    }

    /// Puts the view in the place of the one before it.
    ///
    /// # Errors
    /// If standard output cannot be written to.
    pub fn draw(&mut self, lines: &[Line]) -> io::Result<()> {
        let (width, height) = size().unwrap_or((USUAL_WIDTH, usize::MAX));
        // What does not fit would scroll away, out of the reach of the cursor; the last row belongs to the cursor.
        let shown = &lines[..lines.len().min(height.saturating_sub(1))];
        let mut frame = up(self.drawn);
        for line in shown {
            frame.push_str(&line.write(width, self.colours));
            frame.push_str(CLEAR_REST_OF_LINE);
            frame.push('\n');
        }
        frame.push_str(CLEAR_BELOW);
        self.drawn = shown.len();
        let mut out = io::stdout().lock();
        out.write_all(frame.as_bytes())?;
        out.flush()
    }

    /// Writes one line, where there is no view.
    ///
    /// # Errors
    /// If standard output cannot be written to.
    pub fn say(&mut self, line: &Line) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", line.write(usize::MAX, self.colours))?;
        out.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.is_terminal {
            // Nobody is left to tell if even this fails.
            let _ = writeln!(io::stdout(), "{SHOW_CURSOR}").and_then(|()| io::stdout().flush());
        }
    }
}

const HIDE_CURSOR: &str = "\u{1b}[?25l";
const SHOW_CURSOR: &str = "\u{1b}[?25h";
const CLEAR_REST_OF_LINE: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";

fn up(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\u{1b}[{lines}A\r") }
}

/// Columns and rows of the terminal; `None` if it does not say.
fn size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (0 < size.ws_col && 0 < size.ws_row).then(|| (usize::from(size.ws_col), usize::from(size.ws_row)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_used_only_where_they_are_wanted() {
        assert!(Colour::Auto.wanted(true, None));
        assert!(Colour::Auto.wanted(true, Some("")));
        assert!(!Colour::Auto.wanted(true, Some("1")));
        assert!(!Colour::Auto.wanted(false, None));
        assert!(Colour::Always.wanted(false, Some("1")));
        assert!(!Colour::Never.wanted(true, None));
    }
}
