//! What a probe tells of certificates, with a server that has good and bad ones. The program reads the trust store of the
//! machine from the file that `SSL_CERT_FILE` names, as OpenSSL does.

use std::{net::SocketAddr, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::{Folder, haltwatch};
use crate::scripted_node::{Asked, Reply};

/// Answers one request after the other with TLS; it stops when dropped.
struct Server {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    async fn start(certificate: CertificateDer<'static>, key: &KeyPair) -> Self {
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::task::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                if let Ok(tls) = acceptor.accept(tcp).await {
                    tokio::task::spawn(serve(tls));
                }
            }
        });
        Self { address, accepting }
    }
}

async fn serve(mut tls: tokio_rustls::server::TlsStream<tokio::net::TcpStream>) {
    let mut read = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = tls.read(&mut read).await {
        // Our requests are short and come in one record each.
        let text = String::from_utf8_lossy(&read[..length]).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let asked = Asked { head: head.to_owned(), body: body.as_bytes().to_vec() };
        let Reply::Raw(bytes) = super::node_script(&asked) else { return };
        if tls.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Who signed the certificate of a server; the program trusts only ours.
#[derive(Debug, Clone, Copy)]
enum Signer {
    Ours,
    Stranger,
    Itself,
}

/// Probes a server with a certificate for `name` that is valid for these years.
async fn probed(name: &str, years: (i32, i32), signer: Signer) -> (i32, Value) {
    let (ours, stranger) = (authority("ours"), authority("strangers"));
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
    let key = KeyPair::generate().unwrap();
    let certificate = match signer {
        Signer::Ours => params.signed_by(&key, &*ours),
        Signer::Stranger => params.signed_by(&key, &*stranger),
        Signer::Itself => params.self_signed(&key),
    };
    let certificate = certificate.unwrap();
    let server = Server::start(certificate.der().clone(), &key).await;
    let folder = Folder::new(&format!("tls-{name}-{}-{signer:?}", years.1));
    let store = folder.file("ca.pem", &ours.pem());
    let url = format!("https://localhost:{}", server.address.port());
    let environment = [("SSL_CERT_FILE", store.to_str().unwrap())];
    let (code, out, _) = haltwatch(&["probe", &url, "--output=json"], &environment).await;
    (code, serde_json::from_str(&out).unwrap())
}

#[tokio::test]
async fn a_good_certificate_is_told_with_its_end() {
    let (code, told) = probed("localhost", (2020, 2099), Signer::Ours).await;
    assert_eq!(code, 0, "{told}");
    assert_eq!(told["tls"]["version"], "TLSv1_3");
    assert_eq!(told["tls"]["certificate_not_after"], "2099-01-01T00:00:00.000Z");
    assert!(20_000 < told["tls"]["certificate_days_left"].as_i64().unwrap(), "{told}");
}

#[tokio::test]
async fn every_fault_of_a_certificate_has_its_own_reason() {
    for (name, years, signer, wanted) in [
        ("localhost", (2020, 2021), Signer::Ours, "tls_expired"),
        ("localhost", (2098, 2099), Signer::Ours, "tls_not_yet_valid"),
        ("elsewhere.example.org", (2020, 2099), Signer::Ours, "tls_wrong_name"),
        ("localhost", (2020, 2099), Signer::Stranger, "tls_unknown_issuer"),
        ("localhost", (2020, 2099), Signer::Itself, "tls_unknown_issuer"),
    ] {
        let (code, told) = probed(name, years, signer).await;
        assert_eq!((code, told["failure"]["reason"].as_str()), (1, Some(wanted)), "{told}");
        if wanted == "tls_expired" {
            assert_eq!(told["tls"]["certificate_not_after"], "2021-01-01T00:00:00.000Z");
            assert!(told["tls"]["certificate_days_left"].as_i64().unwrap() < 0);
        }
    }
}

#[tokio::test]
async fn a_port_that_does_not_speak_tls_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let speaking = tokio::task::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\nthis is no TLS\r\n").await;
        let _ = tcp.read(&mut [0; 1024]).await;
    });
    let (code, out, _) = haltwatch(&["probe", &format!("https://localhost:{port}")], &[]).await;
    assert!(code == 1 && out.contains("not_tls: What answered does not speak TLS."), "{out}");
    speaking.abort();
}
