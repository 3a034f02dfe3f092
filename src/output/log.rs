//! Log lines on standard error: one event is one line, as logfmt for people or as JSON for machines, whatever a node
//! put into a field. Every line that passes the filter is counted.

mod line;
mod text;

use std::{io::Write, sync::Arc};

use prometheus::{IntCounter, IntCounterVec};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{EnvFilter, Layer, fmt::MakeWriter, layer::Context as LayerContext, prelude::*};

use self::line::{Fields, Line};
use crate::clock::Clock;

/// What our dependencies say is kept to warnings unless `--log.level` names them. A directive holds for every target that
/// begins with its name: `hyper` covers `hyper_util`, `jsonrpsee` covers `jsonrpsee-client`.
const QUIET: &str = "hyper=warn,jsonrpsee=warn,soketto=warn,rustls=warn,tokio=warn";

/// How lines are written: `--log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `time=… level=INFO msg="…" key=value`, as Prometheus and its exporters write.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl std::str::FromStr for Format {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        match text {
            "text" | "logfmt" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(LogError::Format),
        }
    }
}

/// Why logging cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// `--log.format` is none of ours.
    #[error("the log format must be text or json")]
    Format,
    /// `--log.level` makes no sense; the text says where.
    #[error(
        "the log level must be error, warn, info, debug or trace, or directives like info,haltwatch::chain=debug: {0}"
    )]
    Filter(String),
    /// Another subscriber was installed before.
    #[error("logging is already set up")]
    Taken,
}

/// What every line says about its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The field `instance`: the name of the monitor.
    pub instance: Arc<str>,
    /// Whether standard error is the journal: text lines then begin with `<N>`, their syslog priority.
    pub journal: bool,
}

impl Context {
    /// The context of this process: `instance`, and whether the journal listens on standard error.
    #[must_use]
    pub fn of_process(instance: &str) -> Self {
        let stream = std::env::var("JOURNAL_STREAM").ok();
        Self { instance: instance.into(), journal: stream.is_some_and(|stream| is_standard_error(&stream)) }
    }
}

/// Sends the log of the whole process to standard error. `filter` is a level (`info`) or a comma-separated list of
/// levels and `module=level` directives; `messages` has the one label `level`.
///
/// # Errors
/// [`LogError`] when `filter` is not one, or when logging was set up before.
pub fn init(format: Format, filter: &str, messages: &IntCounterVec, context: Context) -> Result<(), LogError> {
    let filter = parse_filter(filter)?;
    let lines = Lines::new(format, messages, context, std::io::stderr);
    tracing_subscriber::registry().with(filter).with(lines).try_init().map_err(|_| LogError::Taken)
}

/// The filter of `--log.level`, with the noise of dependencies turned down.
///
/// # Errors
/// [`LogError::Filter`]. A word that is not a level is refused: taken as a module's name it would silence everything.
pub fn parse_filter(filter: &str) -> Result<EnvFilter, LogError> {
    let directives: Vec<&str> = filter.split(',').map(str::trim).filter(|directive| !directive.is_empty()).collect();
    for directive in &directives {
        let is_level = directive.parse::<tracing::level_filters::LevelFilter>().is_ok();
        if !is_level && !directive.contains('=') {
            return Err(LogError::Filter(format!("{directive:?} is not a level")));
        }
    }
    if directives.is_empty() {
        return Err(LogError::Filter("nothing given".to_owned()));
    }
    EnvFilter::try_new(format!("{QUIET},{}", directives.join(","))).map_err(|error| LogError::Filter(error.to_string()))
}

/// The layer that turns events into lines. `writer` is asked once a line and gets the line in one `write_all`; what it
/// cannot write is lost without a word, for there is nobody left to tell.
#[derive(Debug)]
pub struct Lines<W> {
    format: Format,
    counters: [(Level, IntCounter); 5],
    context: Context,
    writer: W,
}

impl<W> Lines<W> {
    /// A layer that writes to what `writer` makes and counts into `messages` by `level`.
    #[must_use]
    pub fn new(format: Format, messages: &IntCounterVec, context: Context, writer: W) -> Self {
        let counters = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE]
            .map(|level| (level, messages.with_label_values(&[level.as_str().to_lowercase()])));
        Self { format, counters, context, writer }
    }

    fn count(&self, level: Level) {
        if let Some((_, counter)) = self.counters.iter().find(|(counted, _)| *counted == level) {
            counter.inc();
        }
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_event(&self, event: &Event<'_>, _context: LayerContext<'_, S>) {
        let level = *event.metadata().level();
        self.count(level);
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = Line { time: Clock.now().wall, level, context: &self.context, fields: &fields };
        let text = match self.format {
            Format::Text => line.as_text(),
            Format::Json => line.as_json(),
        };
        // A closed pipe must not end the monitor.
        let _ = self.writer.make_writer().write_all(text.as_bytes());
    }
}

/// Whether `$JOURNAL_STREAM` (`device:inode`) is what standard error is connected to, see systemd.exec(5). A service
/// whose standard error was redirected inherits the variable, but its lines do not go to the journal.
fn is_standard_error(stream: &str) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/fd/2").is_ok_and(|file| stream == format!("{}:{}", file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_refused_instead_of_silencing_the_log() {
        for bad in ["inof", "", " , ", "info,hyper", "haltwatch=loud"] {
            assert!(matches!(parse_filter(bad), Err(LogError::Filter(_))), "{bad:?}");
        }
        for good in ["info", "WARN", "debug,hyper=trace", "info, haltwatch::chain=debug"] {
            assert!(parse_filter(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn what_the_operator_says_about_a_dependency_wins() {
        let shown = parse_filter("info,hyper=trace").unwrap().to_string();
        assert!(shown.contains("hyper=trace") && !shown.contains("hyper=warn"), "{shown}");
        assert!(shown.contains("rustls=warn"), "{shown}");
    }

    #[test]
    fn the_journal_is_recognised_by_its_file_not_by_the_variable() {
        assert!(!is_standard_error("1:1"));
        assert!(!is_standard_error("nonsense"));
    }
}
