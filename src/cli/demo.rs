//! `haltwatch demo`: three simulated networks on the loopback, the real daemon watching them, and a story in which one
//! of them halts and recovers.

mod lines;
pub mod paint;
pub mod stage;
pub mod story;
pub mod terminal;
pub mod view;
mod watcher;

use std::{
    fs::File,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Mutex,
    time::Duration,
};

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use self::{
    stage::{CONSORTIUM, Stage},
    story::{Act, Scene, Story, Told},
    terminal::{Colour, Terminal},
    view::Picture,
    watcher::Watcher,
};
use crate::{
    clock::Clock,
    engine::snapshot::{Effect, NetworkPhase, Snapshot},
    model::NodeState,
    sim::{Devnet, Pace, Tongue},
};

/// The port of the daemon, as everywhere.
const USUAL_PORT: u16 = 10_019;

/// What of the daemon's log is shown beside plain lines: warnings, but not the alerts, which have lines of their own.
const WARNINGS: &str = "warn,haltwatch::app::journal=off";

/// How often the view is drawn and the story looked after.
const FRAME: Duration = Duration::from_millis(200);

/// Watch three simulated networks and see one of them halt and recover.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Stop when the story is over, with 0 if every alert came as it had to, with 1 if not or if the story is broken off.
    #[arg(long)]
    exit_after_story: bool,
    /// The family whose language the nodes speak.
    #[arg(long, value_name = "FAMILY", default_value = "evm", value_parser = tongue())]
    family: Tongue,
    /// When to use colours.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    color: Colour,
    /// Write the daemon's log to this file.
    #[arg(long = "log.file", value_name = "PATH")]
    log_file: Option<PathBuf>,
}

/// Plays the demo until Ctrl-C, or to the end of its story.
///
/// # Errors
/// If sockets cannot be had or nothing can be shown.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut terminal = Terminal::open(arguments.color).context("cannot write to standard output")?;
    open_log(arguments.log_file.as_deref(), &terminal)?;
    let stage = Stage::of(arguments.family);
    let devnet = Devnet::start(stage.world(), Pace::REAL).context("cannot start the simulated networks")?;
    let watcher = watch(&stage.config(&devnet.urls()))?;
    let urls = urls(&watcher, &devnet);
    let mut show = Show { story: Story::begin(Clock.now()), urls, devnet, watcher };
    let outcome = match show.play(&mut terminal, arguments.exit_after_story).await {
        // Whoever read has seen enough, as `head` has after ten lines.
        Err(error) if is_broken_pipe(&error) => Ok(show.verdict(arguments.exit_after_story)),
        outcome => outcome,
    };
    drop(terminal);
    show.watcher.stop().await;
    show.devnet.stop().await;
    outcome
}

/// The language of the simulated nodes of a family.
fn tongue() -> impl TypedValueParser<Value = Tongue> {
    let mut spoken: Vec<&str> = Tongue::ALL.iter().map(|tongue| tongue.family()).collect();
    spoken.dedup();
    PossibleValuesParser::new(spoken).try_map(|family| Tongue::of(&family).ok_or("no simulated node speaks it"))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Starts the daemon on the usual port, or on any where that is taken.
fn watch(config: &str) -> anyhow::Result<Watcher> {
    let on = |port| Watcher::start(config.to_owned(), SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    on(USUAL_PORT).or_else(|_| on(0))
}

/// The daemon's log would tear the view apart: it goes to a file, or is left out; beside plain lines warnings are shown
/// on standard error.
fn open_log(file: Option<&std::path::Path>, terminal: &Terminal) -> anyhow::Result<()> {
    let log = tracing_subscriber::fmt().with_ansi(false);
    let set = match file {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write to {}", path.display()))?;
            log.with_writer(Mutex::new(file)).try_init()
        }
        None if terminal.is_terminal() => return Ok(()),
        None => log.with_env_filter(EnvFilter::new(WARNINGS)).with_writer(io::stderr).try_init(),
    };
    set.map_err(|error| anyhow::anyhow!(error)).context("cannot open the log")
}

/// What can be opened: the pages of the daemon, and a node to be probed.
fn urls(watcher: &Watcher, devnet: &Devnet) -> Vec<(&'static str, String)> {
    let Some(address) = watcher.address() else { return Vec::new() };
    let paths = [
        ("page", "/"),
        ("metrics", "/metrics"),
        ("alerts", "/api/v1/alerts"),
        ("explain", "/api/v1/explain?network=consortium"),
    ];
    let pages = paths.iter().map(|(what, path)| (*what, format!("http://{address}{path}")));
    let node = devnet.urls().into_iter().flatten().next().map(|url| ("a node", url));
    pages.chain(node).collect()
}

struct Show {
    devnet: Devnet,
    watcher: Watcher,
    story: Story,
    urls: Vec<(&'static str, String)>,
}

impl Show {
    async fn play(&mut self, terminal: &mut Terminal, exit_after_story: bool) -> anyhow::Result<ExitCode> {
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut frames = tokio::time::interval(FRAME);
        self.open(terminal)?;
        loop {
            tokio::select! {
                effect = self.watcher.effect() => match effect {
                    Some(effect) => self.hear(&effect, terminal)?,
                    None => anyhow::bail!("the daemon ended"),
                },
                _ = frames.tick() => self.frame(terminal)?,
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
            }
            if exit_after_story && self.story.act() == Act::Over {
                break;
            }
        }
        Ok(self.verdict(exit_after_story))
    }

    fn verdict(&self, exit_after_story: bool) -> ExitCode {
        let came_true = self.story.act() == Act::Over && self.story.surprises().is_empty();
        let refuted = exit_after_story && !came_true;
        if refuted { ExitCode::from(super::exit::FAILURE) } else { ExitCode::SUCCESS }
    }

    fn open(&self, terminal: &mut Terminal) -> io::Result<()> {
        if terminal.is_terminal() {
            return Ok(());
        }
        let now = Clock.now().wall;
        for (what, url) in &self.urls {
            terminal.say(&lines::address(now, what, url))?;
        }
        terminal.say(&lines::narrator(now, self.story.act().line()))
    }

    fn hear(&mut self, effect: &Effect, terminal: &mut Terminal) -> io::Result<()> {
        let snapshot = self.watcher.snapshot();
        let Some(snapshot) = snapshot.as_ref() else { return Ok(()) };
        let now = Clock.now();
        if let Effect::Fired(alert) | Effect::Resolved(alert) = effect {
            let place = view::place(&snapshot.settings, alert.key.subject);
            let fired = matches!(effect, Effect::Fired(_));
            self.story.hear(&Told { name: alert.key.name, place, fired }, now);
        }
        match lines::effect(now.wall, &snapshot.settings, effect) {
            Some(line) if !terminal.is_terminal() => terminal.say(&line),
            _ => Ok(()),
        }
    }

    fn frame(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        let snapshot = self.watcher.snapshot();
        let now = Clock.now();
        let before = self.story.act();
        for fault in self.story.step(scene(snapshot.as_ref().as_ref()), now) {
            self.devnet.suffer(CONSORTIUM, &fault);
        }
        if terminal.is_terminal() {
            let picture = Picture { snapshot: snapshot.as_ref().as_ref(), story: &self.story, now, urls: &self.urls };
            return terminal.draw(&view::render(&picture, terminal.width()));
        }
        if before == self.story.act() {
            return Ok(());
        }
        terminal.say(&lines::narrator(now.wall, self.story.act().line()))?;
        self.story.summary().iter().try_for_each(|text| terminal.say(&lines::narrator(now.wall, text)))
    }
}

fn scene(snapshot: Option<&Snapshot>) -> Scene {
    let Some(snapshot) = snapshot else { return Scene::default() };
    let well = |phase| matches!(phase, NetworkPhase::Live | NetworkPhase::Idle);
    let all_well = snapshot.networks.iter().all(|network| well(network.phase))
        && snapshot.nodes.iter().all(|node| node.state == NodeState::Live);
    let tip = snapshot.networks.get(CONSORTIUM).and_then(|network| network.tip).map(|tip| tip.height);
    Scene { all_well, tip }
}
