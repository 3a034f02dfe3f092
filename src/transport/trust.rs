//! TLS with certificates of its own: authorities from a file, and a certificate that we show. The files are small and
//! connections are kept, so they are read anew for each connection; one that was renewed is used without a reload.
//!
//! Chains of a consortium sign the certificates of their nodes themselves, and these often name no host at all. Where an
//! authority is configured, such a certificate is good for any host; one that names others is refused as ever.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::{
    model::Trust,
    observation::{ErrorKind, PollError},
};

/// Larger files are no certificates.
const FILE_BYTES: u64 = 1024 * 1024;

/// The configuration that these files make.
///
/// # Errors
/// [`ErrorKind::Unauthorized`] if a file cannot be read or is not what it should be. That says nothing bad of the other
/// side, which has no vote then; but it is told, as with every other credential that does not let us in: a renewed
/// certificate with the wrong owner must not make us blind without a word.
pub(super) fn config(trust: &Trust) -> Result<ClientConfig, PollError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| ours(&error.to_string()))?;
    let verified = match &trust.authorities {
        None => versions.with_platform_verifier(),
        Some(path) => {
            let verifier = Verifier(authorities(path, provider)?);
            versions.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let Some((certificate, key)) = &trust.identity else { return Ok(verified.with_no_client_auth()) };
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&content(key)?).map_err(|_| ours("client_key holds no private key"))?;
    verified.with_client_auth_cert(chain, key).map_err(|error| ours(&format!("client_cert and client_key: {error}")))
}

fn authorities(path: &Path, provider: Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, PollError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(path)?);
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|error| ours(&format!("ca_file: {error}")))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PollError> {
    let content = content(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    let certificates = certificates.ok().filter(|certificates| !certificates.is_empty());
    certificates.ok_or_else(|| ours(&format!("{} holds no certificate", path.display())))
}

fn content(path: &Path) -> Result<Vec<u8>, PollError> {
    let read = || -> io::Result<Vec<u8>> {
        // A pipe would hold us up until somebody writes into it.
        if !path.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let mut content = Vec::new();
        File::open(path)?.take(FILE_BYTES).read_to_end(&mut content)?;
        Ok(content)
    };
    read().map_err(|error| ours(&format!("{} cannot be read: {error}", path.display())))
}

fn ours(detail: &str) -> PollError {
    PollError::new(ErrorKind::Unauthorized, detail)
}

/// Checks the chain as ever, and the name where the certificate has one.
#[derive(Debug)]
struct Verifier(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The chain is checked before the name: who fails at the name alone has been vouched for.
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }))
                if presented.is_empty() =>
            {
                Ok(ServerCertVerified::assertion())
            }
            outcome => outcome,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
