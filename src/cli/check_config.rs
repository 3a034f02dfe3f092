//! `haltwatch check-config`: says everything that is wrong with a configuration, without starting anything.
//! With `--online` it also dials everything that the configuration names.

mod online;

pub mod report;

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use self::{online::Online, report::Report};
use super::exit;
use crate::{
    config::{self, Code, Config, Problem, Problems, Severity, Source},
    output::http::web_config::WebConfig,
};

const EXIT_CODES: &str = "Exit codes:
  0   the configuration can be used
  1   with --online: something is unreachable, or does not agree with the configuration
  2   wrong usage
  3   with --strict: it can be used, but there are warnings
  78  it cannot be used";

/// Say everything that is wrong with a configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Arguments {
    /// The configuration file; `-` is the standard input.
    #[arg(long = "config.file", value_name = "PATH", default_value = "config.toml")]
    config_file: PathBuf,
    /// Dial every node, canary and Alertmanager as well, and say what was found.
    #[arg(long)]
    online: bool,
    /// How to say it: for people, as one JSON object, or as annotations of GitHub Actions.
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Output,
    /// Fail if there are warnings.
    #[arg(long)]
    strict: bool,
    /// When to use colours; auto also heeds the variable `NO_COLOR`.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

/// The form of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
    Github,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

/// Reads the configuration and reports. The exit code tells the outcome even if nobody reads the report.
pub async fn run(arguments: &Arguments) -> ExitCode {
    let source = source(&arguments.config_file);
    let loaded = config::load(&source).and_then(with_good_web_config);
    let online = match &loaded {
        Ok(config) if arguments.online => Some(Online::check(config).await),
        _ => None,
    };
    print(
        arguments,
        &Report { problems: problems(&loaded), counts: loaded.as_ref().ok().map(counts), online: online.as_ref() },
    );
    ExitCode::from(match &loaded {
        Err(_) => exit::CONFIG,
        Ok(_) if online.is_some_and(|online| online.has_errors()) => exit::FAILURE,
        Ok(config) if arguments.strict && !config.warnings.list.is_empty() => exit::WARNINGS,
        Ok(_) => 0,
    })
}

/// The configuration, if the web configuration file that it names is good.
fn with_good_web_config(config: Config) -> Result<Config, Problems> {
    let Some(Err(broken)) = config.http.config_file.as_deref().map(WebConfig::load) else { return Ok(config) };
    let problem = |message| Problem {
        code: Code::BadWebConfig,
        line: 0,
        column: 0,
        end_column: None,
        message,
        help: None,
        excerpt: None,
    };
    Err(Problems { list: broken.0.into_iter().map(problem).collect(), ..config.warnings })
}

fn source(path: &Path) -> Source {
    if path == Path::new("-") { Source::Stdin } else { Source::File(path.to_owned()) }
}

/// What there is to say about a configuration, whether it could be loaded or not.
fn problems(loaded: &Result<Config, Problems>) -> &Problems {
    match loaded {
        Ok(config) => &config.warnings,
        Err(problems) => problems,
    }
}

fn counts(config: &Config) -> (usize, usize) {
    (config.engine.networks.len(), config.engine.nodes.len())
}

/// Problems go to where errors are read, a good outcome and what machines read to the standard output. What cannot be
/// written is not: the exit code says the same.
fn print(arguments: &Arguments, report: &Report<'_>) {
    let _ = match arguments.output {
        Output::Json => writeln!(io::stdout(), "{}", report.json()),
        Output::Github => write!(io::stdout(), "{}", report.github()),
        Output::Text => print_text(report, is_coloured(arguments.color)),
    };
}

fn print_text(report: &Report<'_>, coloured: bool) -> io::Result<()> {
    let told = report.text(coloured);
    if !told.is_empty() {
        writeln!(io::stderr(), "{told}")?;
    }
    match report.problems.count(Severity::Error) {
        0 => writeln!(io::stdout(), "{}", report.summary())?,
        _ => writeln!(io::stderr(), "{}", report.summary())?,
    }
    let mut found = report.online.into_iter().flat_map(Online::lines);
    found.try_for_each(|line| writeln!(io::stdout(), "{line}"))
}

/// Colours are for people who look at a terminal and have not declined them.
fn is_coloured(wish: Color) -> bool {
    let declined = || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match wish {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => io::stderr().is_terminal() && !declined(),
    }
}
