//! What a service manager hears on its socket.

use std::{os::unix::net::UnixDatagram, path::PathBuf, time::Duration};

use haltwatch::{
    clock::Clock,
    output::systemd::{Environment, Heartbeat, Systemd, run},
    supervisor::{PanicCounter, Supervisor},
};

const STEP_LIMIT: Duration = Duration::from_millis(300);

/// A service manager's end of the socket.
pub struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    pub fn listen(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("haltwatch-{name}-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Self { socket, path }
    }

    pub fn environment(&self, watchdog: Option<Duration>) -> Environment {
        Environment {
            notify_socket: Some(self.path.clone().into_os_string()),
            watchdog_usec: watchdog.map(|limit| limit.as_micros().to_string()),
            watchdog_pid: watchdog.map(|_| std::process::id().to_string()),
        }
    }

    fn hear(&self) -> String {
        let mut buffer = [0; 1024];
        let length = self.socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// The next message, if one is there.
    pub fn may_hear(&self) -> Option<String> {
        self.socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 1024];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    fn hears_nothing_for(&self, time: Duration) -> bool {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let silent = self.socket.recv(&mut [0; 1024]).is_err();
        self.socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        silent
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[test]
fn the_service_manager_hears_ready_status_reload_and_stop() {
    let manager = Manager::listen("states");
    let systemd = Systemd::connect(&manager.environment(None));
    systemd.ready("watching 12 nodes");
    assert_eq!(manager.hear(), "READY=1\nSTATUS=watching 12 nodes");
    systemd.reloading();
    let reloading = manager.hear();
    let at = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
    assert!(at.trim_end().parse::<u64>().unwrap() > 0);
    systemd.stopping();
    assert_eq!(manager.hear(), "STOPPING=1");
}

#[test]
fn a_status_can_not_smuggle_in_another_message() {
    let manager = Manager::listen("smuggle");
    Systemd::connect(&manager.environment(None)).status("fine\nSTOPPING=1\u{1b}[31m");
    assert_eq!(manager.hear(), "STATUS=fine STOPPING=1 [31m");
}

#[cfg(target_os = "linux")]
#[test]
fn an_abstract_socket_is_reached_too() {
    use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
    let name = format!("haltwatch-test-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let environment = Environment { notify_socket: Some(format!("@{name}").into()), ..Environment::default() };
    Systemd::connect(&environment).stopping();
    let mut buffer = [0; 64];
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"STOPPING=1");
}

#[test]
fn without_a_service_manager_nothing_happens() {
    let nobody = Systemd::connect(&Environment::default());
    nobody.ready("to nobody");
    let gone = Environment { notify_socket: Some("/nonexistent/notify".into()), ..Environment::default() };
    Systemd::connect(&gone).ready("to nobody");
    assert_eq!(nobody.watchdog(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watchdog_is_pinged_only_while_the_monitor_makes_progress() {
    let manager = Manager::listen("watchdog");
    let systemd = Systemd::connect(&manager.environment(Some(Duration::from_millis(100))));
    let heartbeat = Heartbeat::starting(Clock.now().at);
    heartbeat.expect_polls_within(Duration::from_secs(60));
    let mut supervisor = Supervisor::default();
    let shutdown = supervisor.shutdown();
    let watched = heartbeat.clone();
    supervisor.spawn("systemd", PanicCounter::default(), move || {
        let heartbeat = watched.clone();
        let status = || "12 nodes ok of 13".to_owned();
        run(systemd.clone(), Clock, shutdown.clone(), STEP_LIMIT, move || heartbeat.progress(), status)
    });
    let mut heard = [manager.hear(), manager.hear()];
    heard.sort();
    assert_eq!(heard, ["STATUS=12 nodes ok of 13", "WATCHDOG=1"]);
    for _ in 0..3 {
        heartbeat.stepped(Clock.now().at);
        assert_eq!(manager.hear(), "WATCHDOG=1");
    }
    // The engine hangs: polls alone do not keep us alive.
    tokio::time::sleep(STEP_LIMIT + Duration::from_millis(100)).await;
    heartbeat.polled(Clock.now().at);
    while !manager.hears_nothing_for(Duration::from_millis(20)) {}
    assert!(manager.hears_nothing_for(Duration::from_millis(200)), "a hanging engine must not be kept alive");

    heartbeat.stepped(Clock.now().at);
    assert_eq!(manager.hear(), "WATCHDOG=1");
    assert!(supervisor.stop(Duration::from_secs(5)).await);
    let mut last = manager.hear();
    while last == "WATCHDOG=1" {
        last = manager.hear();
    }
    assert_eq!(last, "STOPPING=1");
}
