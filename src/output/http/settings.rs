//! What the server is told: by the configuration, and by flags that win over it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// The port of haltwatch.
const PORT: u16 = 10019;

/// What the server needs to know; validated by `config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it listens, unless the service manager hands sockets over.
    pub listen: Vec<SocketAddr>,
    /// Whether the service manager must hand sockets over.
    pub systemd_socket: bool,
    /// The file with TLS, users, headers and rate limit, in the schema of Prometheus exporters.
    pub config_file: Option<PathBuf>,
    /// Whether `POST /-/reload` is allowed.
    pub lifecycle: bool,
    /// Whether silences may be made and ended over HTTP.
    pub silences: bool,
    /// Open connections at the most.
    pub max_connections: usize,
    /// Requests being served at the most, more are refused; 0 = as many as connections.
    pub max_requests: usize,
    /// Time a connection may be idle.
    pub read_timeout: Duration,
    /// The path of the metrics, beside `/metrics`.
    pub telemetry_path: String,
    /// What stands before every path; `None` = the path of the external URL.
    pub route_prefix: Option<String>,
    /// Where readers find the server.
    pub external_url: Option<String>,
    /// Where runbooks are read, with `{alertname}` in it; `None` = the server's own.
    pub runbook_url: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))],
            systemd_socket: false,
            config_file: None,
            lifecycle: false,
            silences: false,
            max_connections: 512,
            max_requests: 0,
            // Longer than any usual scrape interval, or every scrape would have to connect anew.
            read_timeout: Duration::from_secs(125),
            telemetry_path: "/metrics".to_owned(),
            route_prefix: None,
            external_url: None,
            runbook_url: None,
        }
    }
}

/// What flags say instead of the configuration, now and after every reload. The default says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Where to listen, if not empty.
    pub listen: Vec<SocketAddr>,
    /// Take sockets over from the service manager, whatever the configuration says.
    pub systemd_socket: bool,
    /// The web configuration file.
    pub config_file: Option<PathBuf>,
    /// Allow reloads, whatever the configuration says.
    pub lifecycle: bool,
    /// Open connections at the most.
    pub max_connections: Option<usize>,
    /// Requests being served at the most.
    pub max_requests: Option<usize>,
    /// Time a connection may be idle.
    pub read_timeout: Option<Duration>,
    /// The path of the metrics.
    pub telemetry_path: Option<String>,
    /// What stands before every path.
    pub route_prefix: Option<String>,
    /// Where readers find the server.
    pub external_url: Option<String>,
}

impl Overrides {
    /// `settings` with what was said in its place.
    #[must_use]
    pub fn applied(&self, settings: &Settings) -> Settings {
        let mut settings = settings.clone();
        if !self.listen.is_empty() {
            settings.listen.clone_from(&self.listen);
        }
        settings.systemd_socket |= self.systemd_socket;
        settings.lifecycle |= self.lifecycle;
        replace(&mut settings.max_connections, self.max_connections);
        replace(&mut settings.max_requests, self.max_requests);
        replace(&mut settings.read_timeout, self.read_timeout);
        replace(&mut settings.telemetry_path, self.telemetry_path.clone());
        settings.config_file = self.config_file.clone().or(settings.config_file.take());
        settings.route_prefix = self.route_prefix.clone().or(settings.route_prefix.take());
        settings.external_url = self.external_url.clone().or(settings.external_url.take());
        settings
    }
}

fn replace<T>(value: &mut T, by: Option<T>) {
    if let Some(by) = by {
        *value = by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_and_what_they_do_not_say_stays() {
        let config = Settings { lifecycle: true, max_requests: 7, ..Settings::default() };
        assert_eq!(Overrides::default().applied(&config), config);
        let flags = Overrides {
            listen: vec!["127.0.0.1:1".parse().unwrap()],
            max_connections: Some(9),
            telemetry_path: Some("/t".to_owned()),
            config_file: Some(PathBuf::from("web.yml")),
            ..Overrides::default()
        };
        let settings = flags.applied(&config);
        assert_eq!((settings.max_connections, settings.max_requests, settings.lifecycle), (9, 7, true));
        assert_eq!((settings.listen, settings.telemetry_path), (flags.listen, "/t".to_owned()));
        assert_eq!(settings.config_file, flags.config_file);
    }
}
