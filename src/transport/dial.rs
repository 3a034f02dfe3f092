//! Opens a stream to an endpoint: name, address, connection, TLS.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use rustls::{ClientConfig, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use super::{fault, link::Stream};
use crate::{
    model::Endpoint,
    observation::{ErrorKind, PollError},
};

/// A name with more addresses than this is tried at the first ones only.
const MAX_ADDRESSES: usize = 8;

/// Opens a connection, wrapped in TLS if the scheme says so. `deadline` is that of all the caller is up to, and the
/// caller enforces it; here it only decides how long an address that does not answer may keep us from the next one.
///
/// # Errors
/// Name, connection or TLS.
pub async fn dial(endpoint: &Endpoint, deadline: Duration) -> Result<Stream, PollError> {
    let tcp = connect(endpoint.host(), endpoint.port(), deadline).await?;
    // Without it an answer in two packets would wait for our delayed acknowledgement. Failing to set it is no fault.
    let _ = tcp.set_nodelay(true);
    if !endpoint.is_tls() {
        return Ok(Stream::plain(tcp));
    }
    let name = ServerName::try_from(endpoint.host().to_owned())
        .map_err(|_| PollError::new(ErrorKind::Tls, "the host is not a name a certificate can have"))?;
    let tls = TlsConnector::from(tls_config()?).connect(name, tcp).await.map_err(|error| fault::handshake(&error))?;
    Ok(Stream::tls(tls))
}

async fn connect(host: &str, port: u16, deadline: Duration) -> Result<TcpStream, PollError> {
    let addresses = addresses(host, port).await?;
    let slice = deadline / u32::try_from(addresses.len()).unwrap_or(1).max(1);
    let mut last = PollError::new(ErrorKind::Dns, "the name has no address");
    for address in addresses {
        match tokio::time::timeout(slice, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => last = fault::io(&error),
            Err(_) => last = PollError::new(ErrorKind::Timeout, "no connection"),
        }
    }
    Err(last)
}

async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, PollError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found = lookup_host((host, port)).await.map_err(|error| fault::lookup(&error))?;
    Ok(found.take(MAX_ADDRESSES).collect())
}

/// One configuration for the process: sessions are resumed and the certificates of the machine, which cost
/// milliseconds and a hundred kilobytes, are read once, at the first handshake. A machine without any so fails only
/// where TLS is wanted.
fn tls_config() -> Result<Arc<ClientConfig>, PollError> {
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
        let first = tls_config().unwrap();
        assert!(Arc::ptr_eq(&first, &tls_config().unwrap()), "it is shared");
    }
}
