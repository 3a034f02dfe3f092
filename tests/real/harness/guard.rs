//! Nothing may be left running, however the run ends: a second copy of this program, in a process group of its own,
//! knows the process group of everything that was started. When the pipe to it closes (exit, panic, Ctrl-C, `kill -9`
//! of the run alike) it kills what is left. It needs no signal handler and survives all of them.

use std::{
    collections::BTreeSet,
    io::{BufRead, Write},
    os::unix::process::CommandExt,
    process::{ChildStdin, Command, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};

/// The first argument that turns this program into the guard.
pub const ARGUMENT: &str = "--guard";

static PIPE: OnceLock<Mutex<ChildStdin>> = OnceLock::new();

/// Starts the guard. To be called once, before any other process is started.
pub fn start() -> Result<()> {
    let mut guard = Command::new(std::env::current_exe()?)
        .arg(ARGUMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .context("cannot start the guard")?;
    let pipe = guard.stdin.take().context("the guard has no pipe")?;
    PIPE.set(Mutex::new(pipe)).ok().context("the guard runs already")
}

/// Remembers the process group `group`: whatever happens to us, it will be killed.
pub fn watch(group: u32) -> Result<()> {
    writeln!(pipe()?, "+{group}").context("the guard is gone")
}

/// Forgets the process group `group`, whose processes have ended.
pub fn forget(group: u32) -> Result<()> {
    writeln!(pipe()?, "-{group}").context("the guard is gone")
}

fn pipe() -> Result<MutexGuard<'static, ChildStdin>> {
    let pipe = PIPE.get().context("the guard was not started")?;
    Ok(pipe.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The guard itself: reads groups until the pipe closes, then kills those that are left.
pub fn run() {
    let mut groups = BTreeSet::new();
    for line in std::io::stdin().lock().lines().map_while(std::result::Result::ok) {
        match line.split_at_checked(1) {
            Some(("+", group)) => groups.insert(group.to_owned()),
            Some(("-", group)) => groups.remove(group),
            _ => false,
        };
    }
    for group in groups.iter().filter_map(|group| Pid::from_raw(group.parse().ok()?)) {
        // It may have ended by itself since: that is what we want.
        let _ = kill_process_group(group, Signal::KILL);
    }
}
