//! What the service manager is told: ready, a line of status, stopping, and the watchdog ping, which is sent only while
//! the monitor proves that it works. A monitor that hangs is restarted instead of being silent for ever.
//!
//! The messages are those of `sd_notify(3)`. The environment is read once and passed on as a value.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::net::UnixDatagram,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::{clock::Clock, model::Timestamp, observation::clean_text, supervisor::Shutdown};

/// Time between two looks at the status line.
pub const STATUS_PERIOD: Duration = Duration::from_secs(5);
/// Longest status line in bytes.
const MAX_STATUS_BYTES: usize = 200;
/// Shortest time between two pings, whatever the service manager asks for.
const MIN_PING_PERIOD: Duration = Duration::from_millis(10);

/// What the service manager passes in the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `NOTIFY_SOCKET`: a path, or `@` and an abstract name.
    pub notify_socket: Option<OsString>,
    /// `WATCHDOG_USEC`: the watchdog's limit in microseconds.
    pub watchdog_usec: Option<String>,
    /// `WATCHDOG_PID`: whom the watchdog watches.
    pub watchdog_pid: Option<String>,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            notify_socket: std::env::var_os("NOTIFY_SOCKET"),
            watchdog_usec: std::env::var("WATCHDOG_USEC").ok(),
            watchdog_pid: std::env::var("WATCHDOG_PID").ok(),
        }
    }

    /// The limit of the watchdog, if it watches the process `pid`.
    fn watchdog(&self, pid: u32) -> Option<Duration> {
        let is_ours = self.watchdog_pid.as_ref().is_none_or(|watched| watched.trim().parse() == Ok(pid));
        let limit: u64 = self.watchdog_usec.as_ref()?.trim().parse().ok()?;
        (is_ours && limit != 0).then(|| Duration::from_micros(limit))
    }
}

/// The way to the service manager. Without one, everything said is said to nobody. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Systemd {
    socket: Option<Arc<UnixDatagram>>,
    watchdog: Option<Duration>,
}

impl Systemd {
    /// Connects to the service manager that `environment` names, if any. A socket that cannot be reached is reported
    /// once, here, and then ignored: the monitor's work does not depend on it.
    #[must_use]
    pub fn connect(environment: &Environment) -> Self {
        let Some(name) = &environment.notify_socket else { return Self::default() };
        match dial(name) {
            Ok(socket) => Self { socket: Some(Arc::new(socket)), watchdog: environment.watchdog(std::process::id()) },
            Err(error) => {
                tracing::warn!(%error, "cannot reach the service manager at NOTIFY_SOCKET: {error}");
                Self::default()
            }
        }
    }

    /// The limit after which the service manager restarts us, if it watches us.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Says that the start, or a reload, is complete.
    pub fn ready(&self, status: &str) {
        self.send(&[NotifyState::Ready, NotifyState::Status(&one_line(status))]);
    }

    /// Says that a reload has ended, well or not, and leaves the line of status as it is.
    pub fn reloaded(&self) {
        self.send(&[NotifyState::Ready]);
    }

    /// Says that a reload has begun; [`Systemd::reloaded`] must follow.
    pub fn reloading(&self) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            self.send(&[NotifyState::Reloading, now]);
        }
    }

    /// Shows `line` in `systemctl status`.
    pub fn status(&self, line: &str) {
        self.send(&[NotifyState::Status(&one_line(line))]);
    }

    /// Says that the shutdown has begun.
    pub fn stopping(&self) {
        self.send(&[NotifyState::Stopping]);
    }

    /// Puts the watchdog off by its limit.
    fn ping(&self) {
        self.send(&[NotifyState::Watchdog]);
    }

    /// One datagram, never waiting: a service manager that does not listen must not stop the monitor.
    fn send(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let lines: Vec<String> = states.iter().map(ToString::to_string).collect();
        if let Err(error) = socket.send(lines.join("\n").as_bytes()) {
            tracing::debug!(%error, "cannot notify the service manager: {error}");
        }
    }
}

/// When the parts that must not stop were last seen working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The engine's last step.
    pub last_step: Timestamp,
    /// When the next poll must have ended, good or failed; `None` if none is expected.
    pub poll_due: Option<Timestamp>,
}

impl Progress {
    /// Whether a poll ended in time and the engine was seen working within `step_limit`.
    #[must_use]
    pub fn is_alive(self, now: Timestamp, step_limit: Duration) -> bool {
        self.poll_due.is_none_or(|due| now <= due) && now.since(self.last_step) <= step_limit
    }
}

/// Where the parts leave their marks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Heartbeat(Arc<Marks>);

#[derive(Debug)]
struct Marks {
    step: AtomicI64,
    poll: AtomicI64,
    /// In milliseconds; 0 = no polls are expected.
    poll_limit: AtomicU64,
}

impl Heartbeat {
    /// Counts from `now`; no polls are expected yet.
    #[must_use]
    pub fn starting(now: Timestamp) -> Self {
        let (step, poll) = (AtomicI64::new(now.0), AtomicI64::new(now.0));
        Self(Arc::new(Marks { step, poll, poll_limit: AtomicU64::new(0) }))
    }

    /// From now on at most `limit` may pass between the ends of two polls: above interval, back-off and deadline
    /// together. It changes with the configuration.
    pub fn expect_polls_within(&self, limit: Duration) {
        self.0.poll_limit.store(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The engine made a step.
    pub fn stepped(&self, now: Timestamp) {
        self.0.step.store(now.0, Ordering::Relaxed);
    }

    /// A poll ended, good or failed.
    pub fn polled(&self, now: Timestamp) {
        self.0.poll.fetch_max(now.0, Ordering::Relaxed);
    }

    /// A node wants to be left alone: no poll need end before `until`.
    pub fn resting(&self, until: Timestamp) {
        self.polled(until);
    }

    /// The latest marks.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let limit = self.0.poll_limit.load(Ordering::Relaxed);
        let last = Timestamp(self.0.poll.load(Ordering::Relaxed));
        Progress {
            last_step: Timestamp(self.0.step.load(Ordering::Relaxed)),
            poll_due: (limit != 0).then(|| last.after(Duration::from_millis(limit))),
        }
    }
}

/// Pings the watchdog twice in its limit while `progress` is made, steps within `step_limit`, shows the line of `status` whenever it has
/// changed, and says that we are stopping when the shutdown begins. `status` must hold no secret and nothing a node said.
pub async fn run(
    systemd: Systemd,
    clock: Clock,
    mut shutdown: Shutdown,
    step_limit: Duration,
    progress: impl Fn() -> Progress + Send,
    status: impl Fn() -> String + Send,
) {
    let mut statuses = ticks(STATUS_PERIOD);
    let mut pings = ticks(systemd.watchdog().map_or(STATUS_PERIOD, |limit| (limit / 2).max(MIN_PING_PERIOD)));
    let mut shown = String::new();
    let mut was_alive = true;
    loop {
        tokio::select! {
            _ = pings.tick(), if systemd.watchdog().is_some() => {
                let is_alive = progress().is_alive(clock.now().at, step_limit);
                if is_alive {
                    systemd.ping();
                } else if was_alive {
                    tracing::error!("no progress within its limit: the watchdog is not pinged any more");
                }
                was_alive = is_alive;
            }
            _ = statuses.tick() => {
                let line = status();
                if line != shown {
                    systemd.status(&line);
                    shown = line;
                }
            }
            () = shutdown.begun() => return systemd.stopping(),
        }
    }
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn one_line(text: &str) -> String {
    clean_text(text, MAX_STATUS_BYTES)
}

fn dial(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match name.as_encoded_bytes().strip_prefix(b"@") {
        Some(abstract_name) => connect_abstract(&socket, abstract_name)?,
        None => socket.connect(Path::new(name))?,
    }
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn connect_abstract(socket: &UnixDatagram, name: &[u8]) -> io::Result<()> {
    use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
    socket.connect_addr(&SocketAddr::from_abstract_name(name)?)
}

#[cfg(not(target_os = "linux"))]
fn connect_abstract(_: &UnixDatagram, _: &[u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(10);

    fn progress(step: i64, poll_due: Option<i64>) -> Progress {
        Progress { last_step: Timestamp(step), poll_due: poll_due.map(Timestamp) }
    }

    #[test]
    fn only_progress_on_every_side_counts_as_alive() {
        let now = Timestamp(100_000);
        for (step, poll_due, wanted) in [
            (90_000, Some(100_000), true),
            (89_999, Some(100_000), false),
            (100_000, Some(99_999), false),
            (100_000, None, true),
            (89_999, None, false),
        ] {
            assert_eq!(progress(step, poll_due).is_alive(now, STEP), wanted, "step {step}, poll due {poll_due:?}");
        }
    }

    #[test]
    fn a_heartbeat_shows_the_latest_marks() {
        let heartbeat = Heartbeat::starting(Timestamp(5));
        assert_eq!(heartbeat.progress(), progress(5, None));
        heartbeat.expect_polls_within(Duration::from_secs(1));
        assert_eq!(heartbeat.progress(), progress(5, Some(1005)));
        heartbeat.clone().stepped(Timestamp(7));
        heartbeat.polled(Timestamp(9));
        assert_eq!(heartbeat.progress(), progress(7, Some(1009)));
        heartbeat.expect_polls_within(Duration::from_secs(2));
        assert_eq!(heartbeat.progress(), progress(7, Some(2009)), "a reload may bring longer intervals");
    }

    #[test]
    fn a_node_that_wants_to_be_left_alone_is_no_reason_to_restart_the_monitor() {
        let heartbeat = Heartbeat::starting(Timestamp(0));
        heartbeat.expect_polls_within(Duration::from_secs(1));
        heartbeat.resting(Timestamp(600_000));
        heartbeat.polled(Timestamp(10));
        assert_eq!(heartbeat.progress(), progress(0, Some(601_000)));
    }

    #[test]
    fn the_watchdog_of_another_process_is_not_ours() {
        let environment = |usec: &str, pid: Option<&str>| Environment {
            watchdog_usec: Some(usec.to_owned()),
            watchdog_pid: pid.map(str::to_owned),
            ..Environment::default()
        };
        for (usec, pid, wanted) in [
            ("30000000", Some("42"), Some(Duration::from_secs(30))),
            ("30000000", None, Some(Duration::from_secs(30))),
            ("30000000", Some("43"), None),
            ("0", Some("42"), None),
            ("soon", Some("42"), None),
        ] {
            assert_eq!(environment(usec, pid).watchdog(42), wanted, "{usec} {pid:?}");
        }
    }
}
