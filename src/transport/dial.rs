//! Opens a stream to an endpoint: name, address, connection, TLS.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use rustls::{ClientConfig, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{certificate, fault, link::Stream, name, reach::Reach, trust, upgrade::Upgrade};
use crate::{
    clock::Clock,
    model::{Endpoint, Trust, UnixTime},
    observation::{
        ErrorKind, PollError,
        probe::{Connection, Tls, TlsFault},
    },
};

/// What a new connection is like.
pub type Dialed = Connection;

/// Why there is no connection, in more detail than a poll needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialFault {
    /// As a poll tells it.
    pub error: PollError,
    /// What is wrong with the certificate or the handshake.
    pub tls: Option<TlsFault>,
    /// The certificate that was refused because its time is over ended then.
    pub expired_at: Option<UnixTime>,
    /// Whether it was us who refused to connect to the address.
    pub forbidden: bool,
}

impl From<PollError> for DialFault {
    fn from(error: PollError) -> Self {
        Self { error, tls: None, expired_at: None, forbidden: false }
    }
}

/// Opens a connection for a WebSocket, wrapped in TLS if the scheme says so. `deadline` is that of all the caller is up to,
/// and the caller enforces it; here it only decides how long an address that does not answer may keep us from the next one.
///
/// # Errors
/// Name, connection or TLS.
pub async fn dial(endpoint: &Endpoint, deadline: Duration) -> Result<Upgrade<Stream>, PollError> {
    let (stream, _) = dial_within(endpoint, Reach::Anywhere, deadline).await.map_err(|fault| fault.error)?;
    Ok(Upgrade::on(stream))
}

/// The same, only to addresses within `reach`, and with what the connection is like.
///
/// # Errors
/// Name, connection or TLS, or an address out of reach.
pub async fn dial_within(
    endpoint: &Endpoint,
    reach: Reach,
    deadline: Duration,
) -> Result<(Stream, Connection), DialFault> {
    let stopwatch = Clock.stopwatch();
    let addresses = reach.allowed(name::addresses(endpoint.host()).await?)?;
    let tcp = connect(addresses, endpoint.port(), deadline).await?;
    // Without it an answer in two packets would wait for our delayed acknowledgement. Failing to set it is no fault.
    let _ = tcp.set_nodelay(true);
    if !endpoint.is_tls() {
        return Ok((Stream::plain(tcp), Connection { elapsed: stopwatch.elapsed(), tls: None }));
    }
    let name = ServerName::try_from(endpoint.host().to_owned())
        .map_err(|_| PollError::new(ErrorKind::Tls, "the host is not a name a certificate can have"))?;
    let tls = TlsConnector::from(tls_config(endpoint.trust())?)
        .connect(name, tcp)
        .await
        .map_err(|error| fault::dial(&error))?;
    let session = tls.get_ref().1;
    let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
    let not_after = session.peer_certificates().and_then(|chain| certificate::not_after(chain.first()?));
    let facts = Connection { elapsed: stopwatch.elapsed(), tls: Some(Tls { version, not_after }) };
    Ok((Stream::tls(tls), facts))
}

async fn connect(addresses: Vec<IpAddr>, port: u16, deadline: Duration) -> Result<TcpStream, PollError> {
    let slice = deadline / u32::try_from(addresses.len()).unwrap_or(1).max(1);
    let mut last = PollError::new(ErrorKind::Dns, "the name has no address");
    for address in addresses {
        match tokio::time::timeout(slice, TcpStream::connect((address, port))).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => last = fault::io(&error),
            Err(_) => last = PollError::new(ErrorKind::Timeout, "no connection"),
        }
    }
    Err(last)
}

/// What the endpoint's own certificates make, where it has any.
fn tls_config(trust: Option<&Trust>) -> Result<Arc<ClientConfig>, PollError> {
    let Some(trust) = trust else { return common_config() };
    let mut config = trust::config(trust)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// One configuration for the process: sessions are resumed and the certificates of the machine, which cost
/// milliseconds and a hundred kilobytes, are read once, at the first handshake. A machine without any so fails only
/// where TLS is wanted.
fn common_config() -> Result<Arc<ClientConfig>, PollError> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, PollError>> = OnceLock::new();
    let build = || {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| PollError::new(ErrorKind::Tls, &error.to_string()))?;
        let mut config = versions.with_platform_verifier().with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    };
    CONFIG.get_or_init(build).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tls_configuration_can_be_had_on_any_machine() {
        let first = common_config().unwrap();
        assert!(Arc::ptr_eq(&first, &tls_config(None).unwrap()), "it is shared");
    }
}
