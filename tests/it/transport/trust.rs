//! TLS with certificates of its own: a server that asks for one, and whose own names no host, as nodes of consortium chains
//! have it.

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc};

use haltwatch::{
    model::{Endpoint, Trust},
    observation::{ErrorKind, PollError},
    transport::Client,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{RootCertStore, ServerConfig, pki_types::PrivateKeyDer, server::WebPkiClientVerifier};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// An authority, and what it has signed, in files.
struct Office {
    authority: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Office {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = std::env::temp_dir().join(format!("haltwatch-trust-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
        Self { authority, folder }
    }

    fn sign(&self, hosts: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>()).unwrap();
        (params.signed_by(&key, &*self.authority).unwrap(), key)
    }

    fn authorities(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// A certificate for us.
    fn identity(&self) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.sign(&[]);
        let paths = (self.folder.join("sdk.crt"), self.folder.join("sdk.key"));
        fs::write(&paths.0, certificate.pem()).unwrap();
        fs::write(&paths.1, key.serialize_pem()).unwrap();
        paths
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Serves `{}` to whoever shows a certificate of the office; its own is for these hosts.
async fn server(office: &Office, hosts: &[&str]) -> (SocketAddr, JoinHandle<()>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(office.authority.der().clone()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let (certificate, key) = office.sign(hosts);
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = tokio::task::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut tls) = acceptor.accept(tcp).await else { continue };
            let _ = tls.read(&mut [0; 4096]).await;
            let _ = tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
        }
    });
    (address, accepting)
}

async fn asked(address: SocketAddr, trust: Trust) -> Result<(), PollError> {
    let url = format!("https://localhost:{}", address.port());
    let endpoint = Endpoint::parse(&url, "http, https").unwrap().with_trust(trust);
    let limits = super::Limits { deadline: std::time::Duration::from_secs(5), ..super::LIMITS };
    Client::new(endpoint).exchange(super::post(), limits).await.map(drop)
}

#[tokio::test]
async fn a_node_that_asks_for_a_certificate_is_shown_ours() {
    let office = Office::new("shown");
    for hosts in [&["localhost"][..], &[]] {
        let (address, accepting) = server(&office, hosts).await;
        let trust = Trust { authorities: Some(office.authorities()), identity: Some(office.identity()) };
        assert_eq!(asked(address, trust.clone()).await, Ok(()), "{hosts:?}");
        let without = asked(address, Trust { identity: None, ..trust }).await.unwrap_err();
        assert!(matches!(without.kind, ErrorKind::Tls | ErrorKind::Reset), "{without:?}");
        accepting.abort();
    }
}

#[tokio::test]
async fn a_node_for_which_nobody_we_trust_vouches_or_with_another_name_is_refused() {
    let (office, stranger) = (Office::new("ours"), Office::new("strangers"));
    let (address, accepting) = server(&stranger, &["localhost"]).await;
    let trust = Trust { authorities: Some(office.authorities()), identity: Some(stranger.identity()) };
    assert_eq!(asked(address, trust).await.unwrap_err().kind, ErrorKind::Tls);
    accepting.abort();
    let (address, accepting) = server(&office, &["elsewhere.example.org"]).await;
    let trust = Trust { authorities: Some(office.authorities()), identity: Some(office.identity()) };
    assert_eq!(asked(address, trust).await.unwrap_err().kind, ErrorKind::Tls, "it names another host");
    accepting.abort();
}

#[tokio::test]
async fn files_of_ours_that_are_missing_or_wrong_lock_us_out_and_are_no_fault_of_the_node() {
    let office = Office::new("broken");
    let (address, accepting) = server(&office, &[]).await;
    let (certificate, key) = office.identity();
    let missing = office.folder.join("missing");
    for trust in [
        Trust { authorities: Some(missing.clone()), identity: None },
        Trust { authorities: Some(office.folder.clone()), identity: None },
        Trust { authorities: Some(key.clone()), identity: None },
        Trust { authorities: None, identity: Some((certificate.clone(), missing)) },
        Trust { authorities: None, identity: Some((certificate.clone(), certificate)) },
    ] {
        assert_eq!(asked(address, trust.clone()).await.unwrap_err().kind, ErrorKind::Unauthorized, "{trust:?}");
    }
    accepting.abort();
}
