//! What the kernel knows about this process and the machine, and how this binary starts itself again.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};
use serde::de::DeserializeOwned;

/// CPU time of all threads of this process, user and system together.
pub fn cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(used.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(used.tv_nsec).unwrap_or_default())
}

/// Memory of this process that is in RAM, in bytes.
pub fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() * 1024
}

/// Load average of the last minute.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

/// Lifts the limit of open files as far as this process may, and makes sure that `wanted` fit.
pub fn raise_file_limit(wanted: u64) -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("cannot raise the limit of open files")?;
    let have = limit.maximum.unwrap_or(u64::MAX);
    ensure!(wanted <= have, "{wanted} open files are needed, the hard limit is {have}");
    Ok(())
}

/// Runs this binary with `arguments` to its end and reads the one JSON value it prints.
pub fn ask<T: DeserializeOwned>(arguments: &[String]) -> anyhow::Result<T> {
    let output = again(arguments)?.stdin(Stdio::null()).output().context("cannot start a child")?;
    ensure!(output.status.success(), "{arguments:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.trim()).with_context(|| format!("{arguments:?} printed {text:?}"))
}

/// A child of this binary that serves until it is dropped. It prints one line when it is ready, then one line in answer
/// to each line it is sent.
#[derive(Debug)]
pub struct Service {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// The line it printed when it was ready.
    pub greeting: String,
}

impl Service {
    /// Starts this binary with `arguments` and waits until it is ready.
    pub fn start(arguments: &[String]) -> anyhow::Result<Self> {
        let mut child = again(arguments)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .context("cannot start a child")?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("the child has no output")?);
        let mut service = Self { child, input, output, greeting: String::new() };
        service.greeting = service.read_line()?;
        Ok(service)
    }

    /// Sends `line` and returns the line that comes back.
    pub fn tell(&mut self, line: &str) -> anyhow::Result<String> {
        let input = self.input.as_mut().context("the child has no input")?;
        writeln!(input, "{line}").context("the child does not listen")?;
        self.read_line()
    }

    fn read_line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).context("cannot read from the child")?;
        ensure!(read != 0, "the child ended early");
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // The end of its input tells the child to stop; one that has already died is all right too.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

fn again(arguments: &[String]) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("this binary cannot be found")?);
    command.args(arguments);
    Ok(command)
}
