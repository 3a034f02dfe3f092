//! A started program: it runs in a process group of its own, writes to a log file and dies with its owner.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use super::{guard, wait};

/// How long a program may take to end after a polite request.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running program and everything it started.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command` with both outputs in the file `log`, which is begun anew.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        fs::create_dir_all(log.parent().context("a log without a folder")?)?;
        let out = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stderr(out.try_clone()?)
            .stdout(out)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        guard::watch(child.id())?;
        Ok(Self { child, log: log.to_owned(), ended: None })
    }

    /// Where it writes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends `signal` to it and its children.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let group = Pid::from_child(&self.child);
        kill_process_group(group, signal).with_context(|| format!("cannot signal process {}", self.pid()))
    }

    /// Stops it in its tracks: its ports go on accepting, nothing answers.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Kills it without a chance to say good-bye.
    pub fn kill(&mut self) -> Result<()> {
        if self.poll()?.is_none() {
            self.signal(Signal::KILL)?;
            self.ended = Some(self.child.wait()?);
        }
        guard::forget(self.pid())
    }

    /// Asks it to end and waits for that; kills it when it does not.
    pub fn stop(&mut self) -> Result<()> {
        if self.poll()?.is_none() {
            self.signal(Signal::TERM)?;
        }
        match self.exit_within(PATIENCE)? {
            Some(_) => guard::forget(self.pid()),
            None => self.kill(),
        }
    }

    /// Waits for it to end by itself, at most for `limit`.
    pub fn exit_within(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        wait::until(limit, Duration::from_millis(10), || self.poll().transpose()).transpose()
    }

    /// Waits until `question` is answered with a value; fails at once when the program ends.
    pub fn ready<T>(&mut self, limit: Duration, mut question: impl FnMut() -> Result<T>) -> Result<T> {
        let what = format!("{} answers", self.log.display());
        wait::eventually(&what, limit, || Ok(self.must_run().err().map(Err).or_else(|| question().ok().map(Ok))))?
    }

    /// Fails, with the end of its log, if it no longer runs.
    pub fn must_run(&mut self) -> Result<()> {
        if let Some(status) = self.poll()? {
            bail!("{} ended with {status}:\n{}", self.log.display(), tail(&self.log));
        }
        Ok(())
    }

    /// How it ended, if it has.
    fn poll(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its children may live on when it has ended, so the group is killed in any case; the guard stands behind us.
        let _ = self.signal(Signal::KILL);
        let _ = self.kill();
    }
}

/// The last lines of a log.
pub fn tail(log: &Path) -> String {
    const LINES: usize = 15;
    let text = fs::read_to_string(log).unwrap_or_default();
    let skipped = text.lines().count().saturating_sub(LINES);
    text.lines().skip(skipped).collect::<Vec<_>>().join("\n")
}

/// Runs `command` to its end, at most for `limit`, and returns its standard output; a failure shows what it said.
pub fn output(command: &mut Command, log: &Path, limit: Duration) -> Result<String> {
    let program = format!("{command:?}");
    let mut process = Process::start(command, log)?;
    let status = process.exit_within(limit)?;
    let text = fs::read_to_string(log)?;
    match status {
        Some(status) if status.success() => Ok(text),
        Some(status) => bail!("{program} ended with {status}:\n{}", tail(log)),
        None => bail!("{program} did not end within {limit:?}:\n{}", tail(log)),
    }
}
