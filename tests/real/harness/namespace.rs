//! A network of our own: where the machine allows it the whole run moves into a network namespace that has nothing but a
//! loopback device. Nothing can then reach beyond it, and connections can be cut for real, by taking away the route.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

/// Set for the run inside the namespace.
const INSIDE: &str = "HALTWATCH_REAL_NAMESPACE";

/// The state of a listening socket in the kernel's list.
const LISTEN: &str = "0A";

/// The address on the far side of a cut: everything that listens on it can be made unreachable at once, while
/// 127.0.0.1 goes on.
pub const FAR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Moves the run into a namespace of its own by replacing this process; returns only if that has been done before, or
/// cannot be done here.
pub fn enter() {
    if inside() || !possible() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let arguments = std::env::args_os().skip(1);
    let error = unshare("--net")
        .arg("sh")
        .args(["-c", "ip link set lo up && exec \"$0\" \"$@\""])
        .arg(program)
        .args(arguments)
        .env(INSIDE, "1")
        .exec();
    println!("cannot enter a network namespace, going on without: {error}");
}

/// Whether this process has a network of its own.
pub fn inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs what is added to it with a namespace of this `kind` of its own.
fn unshare(kind: &str) -> Command {
    let mut command = Command::new("unshare");
    command.arg(kind);
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command
}

fn possible() -> bool {
    let trial = "ip link set lo up && ip route add unreachable 127.0.0.2 table local";
    let status = unshare("--net").args(["sh", "-c", trial]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs `program` so that it sees the files of `share` under `/usr/share` as well.
pub fn with_share(share: &Path, program: &Path) -> Command {
    let script = "mount -t overlay -o \"lowerdir=$0:/usr/share\" overlay /usr/share && exec \"$@\"";
    let mut command = unshare("--mount");
    command.args(["sh", "-c", script]).arg(share).arg(program);
    command
}

/// The route to [`FAR`] taken away; it comes back when this is dropped.
#[derive(Debug)]
pub struct Cut;

impl Cut {
    /// Makes everything on [`FAR`] unreachable. Works only inside the namespace.
    pub fn make() -> Result<Self> {
        route("add")?;
        let probe = SocketAddr::new(IpAddr::V4(FAR), 1);
        let error = TcpStream::connect_timeout(&probe, Duration::from_secs(1)).err();
        let cut = Self;
        let kind = error.context("the cut address answers")?.kind();
        ensure!(kind != std::io::ErrorKind::ConnectionRefused, "the cut address still answers");
        Ok(cut)
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        // The namespace dies with the run: a route that stays harms nobody.
        let _ = route("del");
    }
}

fn route(verb: &str) -> Result<()> {
    let far = FAR.to_string();
    let status = Command::new("ip").args(["route", verb, "unreachable", &far, "table", "local"]).status()?;
    ensure!(status.success(), "ip route {verb} failed");
    Ok(())
}

/// Everything in the namespace that listens on more than loopback, as the kernel lists it; outside of it nothing, since
/// the list would hold the programs of others.
pub fn listeners_beyond_loopback() -> Result<Vec<String>> {
    if !inside() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for (table, loopback) in [("/proc/net/tcp", "7F"), ("/proc/net/tcp6", "01000000:")] {
        for line in std::fs::read_to_string(table)?.lines().skip(1) {
            let mut fields = line.split_whitespace().skip(1);
            let local = fields.next().unwrap_or_default();
            let is_listening = fields.nth(1) == Some(LISTEN);
            // IPv4 addresses are in the byte order of the machine: the last two digits are the first byte.
            let is_loopback = local.get(6..8) == Some(loopback) || local.contains(loopback);
            if is_listening && !is_loopback {
                found.push(local.to_owned());
            }
        }
    }
    Ok(found)
}
