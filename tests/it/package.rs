//! What a package ships: generated pages and completions, the first configuration, versions that agree.

use std::{fs, path::Path, process::Command};

use haltwatch::config::{self, Source};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// What `haltwatch ARGUMENTS...` prints.
fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_haltwatch")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The commands that `haltwatch --help` tells of.
fn commands() -> Vec<String> {
    let help = printed(&["--help"]);
    let (_, list) = help.split_once("\nCommands:\n").unwrap();
    let names = list.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

fn problems_of(text: &str) -> String {
    let file = std::env::temp_dir().join(format!("haltwatch-package-{}-{}.toml", std::process::id(), text.len()));
    fs::write(&file, text).unwrap();
    let problems = config::load(&Source::File(file.clone())).err().map(|problems| problems.to_string());
    fs::remove_file(file).unwrap();
    problems.unwrap_or_default()
}

#[test]
fn every_shell_completes_every_command() {
    let commands = commands();
    assert!(commands.contains(&"run".to_owned()), "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(&["completions", shell]);
        for command in &commands {
            assert!(script.contains(command.as_str()), "{shell} does not know {command}");
        }
    }
}

#[test]
fn the_manual_has_a_page_for_every_command_and_tells_every_option() {
    let out = std::env::temp_dir().join(format!("haltwatch-man-{}", std::process::id()));
    printed(&["man", "--out", out.to_str().unwrap()]);
    let page = |name: &str| fs::read_to_string(out.join(name)).unwrap().replace('\\', "");
    for command in commands() {
        let page = page(&format!("haltwatch-{command}.8"));
        for option in printed(&[&command, "--help"]).split_whitespace().filter(|word| word.starts_with("--")) {
            let option = option.trim_matches(|c: char| !c.is_alphanumeric());
            assert!(page.contains(option), "haltwatch-{command}(8) does not tell of {option}:\n{page}");
        }
    }
    assert!(page("haltwatch.8").contains("haltwatch-run(8)"));
    assert!(page("haltwatch.toml.5").contains("offline_after"));
    fs::remove_dir_all(out).unwrap();
}

/// A reader who has seen enough is no failure.
#[test]
fn the_manual_can_be_read_in_part() {
    let script = format!("set -o pipefail; {} man | head -n 1", env!("CARGO_BIN_EXE_haltwatch"));
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert!(output.stderr.is_empty() && !output.stdout.is_empty(), "{output:?}");
}

#[test]
fn the_first_configuration_watches_nothing_and_says_so() {
    let problems = problems_of(&read("packaging/config.toml"));
    assert!(problems.contains("there is no network to watch"), "{problems}");
    assert_eq!(problems.matches("error").count(), 1, "{problems}");
}

/// Who follows the instructions at its top comes to a configuration that holds.
#[test]
fn the_first_configuration_holds_once_a_network_is_uncommented() {
    let text = read("packaging/config.toml").replace("${RPC_KEY}", "key");
    let is_example = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line.len() != 1;
    let lines = text.lines().map(|line| if is_example(line) { &line[1..] } else { line });
    let uncommented = lines.collect::<Vec<_>>().join("\n");
    assert!(uncommented.contains("\n[[network.node]]"), "{uncommented}");
    assert_eq!(problems_of(&uncommented), "");
}

#[test]
fn the_changelog_of_the_package_begins_with_this_version() {
    let wanted = format!("haltwatch ({}-1) ", env!("CARGO_PKG_VERSION"));
    assert!(read("packaging/debian/changelog").starts_with(&wanted), "packaging/debian/changelog: add {wanted}");
}

/// The service, its socket, its user and its container must speak of the same port and paths as the program.
#[test]
fn units_speak_of_what_the_program_does() {
    let service = read("systemd/haltwatch.service");
    let service = service.replace("\\\n", "");
    let calls = service.lines().filter(|line| line.starts_with("ExecStart=") || line.starts_with("ExecReload="));
    let commands_of_service: Vec<_> = calls.filter_map(|line| line.split_once("/usr/bin/haltwatch ")).collect();
    assert_eq!(commands_of_service.len(), 2, "run and check-config: {commands_of_service:?}");
    for (_, command) in commands_of_service {
        let name = command.split_whitespace().next().unwrap();
        assert!(commands().contains(&name.to_owned()), "{name} is no command");
        let help = printed(&[name, "--help"]);
        for option in command.split_whitespace().filter_map(|word| word.strip_prefix("--")) {
            let (option, _) = option.split_once('=').unwrap();
            assert!(help.contains(&format!("--{option}")), "{name} has no --{option}");
        }
    }
    let checks_of =
        |unit: &str| unit.lines().find_map(|line| Some(line.split_once("haltwatch check-config ")?.1.to_owned()));
    assert_eq!(
        checks_of(&read("systemd/drop-ins/credentials.conf")),
        checks_of(&service),
        "the same check with credentials"
    );
    let port = ":10019";
    assert!(service.contains(&format!("SocketBindAllow=tcp{port}")));
    for (file, wanted) in [
        ("systemd/haltwatch.socket", "ListenStream=127.0.0.1:10019\n"),
        ("systemd/haltwatch.sysusers", "\nu haltwatch "),
        ("config.toml.example", "listen = [\"127.0.0.1:10019\"]    # default"),
    ] {
        assert!(read(file).contains(wanted), "{file}: {wanted}");
    }
}

/// What the program takes in while it is compiled must be in the container that compiles it.
#[test]
fn the_container_builder_gets_every_file_that_is_compiled_in() {
    let (containerfile, ignore) = (read("Containerfile"), read(".containerignore"));
    let mut rooms = vec![root().join("src")];
    while let Some(room) = rooms.pop() {
        for path in fs::read_dir(room).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                rooms.push(path);
                continue;
            }
            // What only tests compile is not built there.
            if path.file_name().is_some_and(|name| name == "tests.rs") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            // Of names that are put together, the first part, which is the folder.
            for included in text.split("include_str!(").skip(1).filter_map(|rest| rest.split('"').nth(1)) {
                let included = path.parent().unwrap().join(included).canonicalize().unwrap();
                let name = included.strip_prefix(root().canonicalize().unwrap()).unwrap().to_str().unwrap();
                let is_copied = name.starts_with("src/") || (containerfile.contains(name) && ignore.contains(name));
                assert!(is_copied, "{name} is compiled in by {}, but no COPY of Containerfile has it", path.display());
            }
        }
    }
}
