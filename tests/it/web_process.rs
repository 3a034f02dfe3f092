//! The HTTP server of the real program: sockets handed over, file descriptors running out, wrong files refused.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixListener},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::web_config::Folder;

const PATIENCE: Duration = Duration::from_secs(30);

const CONFIG: &str = "[web]\nlisten = [\"127.0.0.1:0\"]\n[[network]]\nname = \"main\"\nfamily = \"evm\"\n\
                      [[network.node]]\nname = \"a\"\nurl = \"http://127.0.0.1:9\"\n";

/// A running program, which ends with its owner.
struct Program {
    child: Child,
    folder: Folder,
}

impl Program {
    /// Starts `shell` with `$0` the program, and `$1` its configuration; what it logs goes to a file.
    fn start(folder: Folder, shell: &str, stdin: Stdio) -> Self {
        let config = folder.write("config.toml", CONFIG);
        let log = fs::File::create(folder.0.join("log")).unwrap();
        let child = Command::new("sh")
            .args(["-c", shell, env!("CARGO_BIN_EXE_haltwatch")])
            .arg(format!("--config.file={}", config.display()))
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDS_FIRST_FD", "0")
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.0.join("log")).unwrap()
    }

    /// Waits for a line of the log that contains `words`, and returns it.
    fn says(&self, words: &str) -> String {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(line) = self.log().lines().find(|line| line.contains(words)) {
                return line.to_owned();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not say {words:?}:\n{}", self.log());
    }

    fn address(&self) -> SocketAddr {
        let line = self.says("Listening on http://");
        let rest = line.split("http://").nth(1).unwrap();
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(rest.len());
        rest[..end].parse().unwrap()
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer to one request, if there is one.
fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_socket_that_was_handed_over_is_listened_on_and_survives_the_program() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let hand_over = || Stdio::from(OwnedFd::from(socket.try_clone().unwrap()));
    // Asked for by the flag; then found by itself, because it is meant for this process.
    for shell in ["exec \"$0\" run --web.systemd-socket \"$1\"", "LISTEN_PID=$$ exec \"$0\" run \"$1\""] {
        let program = Program::start(Folder::new(), shell, hand_over());
        assert_eq!(program.address(), address);
        assert!(get(address, "/-/healthy").unwrap().starts_with("HTTP/1.1 200"));
        drop(program);
        // The socket is still there: who connects in between waits for the next one.
        assert!(TcpStream::connect(address).is_ok());
    }
}

#[test]
fn a_socket_of_the_wrong_kind_is_refused() {
    let folder = Folder::new();
    let unix = UnixListener::bind(folder.0.join("socket")).unwrap();
    let connected = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        TcpStream::connect(listener.local_addr().unwrap()).unwrap()
    };
    let shell = "exec \"$0\" run --web.systemd-socket \"$1\"";
    for (stdin, words) in [
        (Stdio::from(OwnedFd::from(unix)), "socket 1 of those the service manager has handed over is not one of TCP"),
        (
            Stdio::from(OwnedFd::from(connected)),
            "socket 1 of those the service manager has handed over does not listen",
        ),
        (Stdio::null(), "socket 1 of those the service manager has handed over is not one of TCP"),
    ] {
        let mut program = Program::start(Folder::new(), shell, stdin);
        assert_eq!(program.exit_code(), Some(1));
        assert!(program.log().contains(words), "{}", program.log());
    }
    let mut none = Program::start(Folder::new(), &format!("unset LISTEN_FDS; {shell}"), Stdio::null());
    assert_eq!(none.exit_code(), Some(1));
    assert!(none.log().contains("the service manager has handed over no socket"), "{}", none.log());
}

#[test]
fn sockets_that_are_meant_for_another_process_are_left_alone() {
    let shell = "LISTEN_PID=1 exec \"$0\" run \"$1\"";
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let program = Program::start(Folder::new(), shell, Stdio::from(OwnedFd::from(socket.try_clone().unwrap())));
    assert_ne!(program.address(), socket.local_addr().unwrap());
}

#[test]
fn a_wrong_web_configuration_keeps_it_from_starting_with_the_code_for_that() {
    for shell in [
        "exec \"$0\" run --web.config.file=\"${1#--config.file=}\" \"$1\"",
        "exec \"$0\" check-web-config \"${1#--config.file=}\"",
    ] {
        let mut program = Program::start(Folder::new(), shell, Stdio::null());
        assert_eq!(program.exit_code(), Some(78));
        assert!(program.log().contains("config.toml:"), "{}", program.log());
    }
}

#[test]
fn without_file_descriptors_it_waits_says_so_once_and_recovers() {
    let program = Program::start(Folder::new(), "ulimit -n 64; exec \"$0\" run \"$1\"", Stdio::null());
    let address = program.address();
    // They say nothing: the slowest of them give way, so that others are served meanwhile.
    let crowd: Vec<_> = (0..200).map(|_| TcpStream::connect(address).unwrap()).collect();
    program.says("cannot accept HTTP connections");
    let begin = Instant::now();
    let served = || get(address, "/-/healthy").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"));
    while !served() {
        assert!(begin.elapsed() < PATIENCE, "{}", program.log());
    }
    drop(crowd);
    program.says("HTTP connections are accepted again");
    let metrics = get(address, "/metrics").unwrap();
    let errors = metrics.lines().find_map(|line| line.strip_prefix("haltwatch_http_accept_errors_total ")).unwrap();
    assert_ne!(errors, "0");
    let told = program.log().matches("cannot accept HTTP connections").count();
    assert!(told <= errors.parse().unwrap(), "{told} lines for {errors} errors");
}
