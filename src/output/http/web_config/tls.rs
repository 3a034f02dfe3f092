//! How connections are encrypted, and which client certificates are accepted.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme,
    SupportedCipherSuite, SupportedProtocolVersion,
    client::danger::HandshakeSignatureValid,
    crypto::{
        CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms, ring, verify_tls12_signature,
        verify_tls13_signature,
    },
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::{TLS12, TLS13},
};

use super::{fault::Faults, pem::Pem, san};

/// What the file says about TLS.
pub(super) struct Tls {
    pub certificate: Pem,
    pub key: Pem,
    pub auth: ClientAuth,
    pub authorities: Option<Pem>,
    /// One of these must be a name in the client's certificate.
    pub allowed_names: Option<Vec<String>>,
    pub min: Version,
    pub max: Version,
    /// Empty = all.
    pub suites: Vec<SupportedCipherSuite>,
    pub server_order: bool,
    /// Empty = all.
    pub curves: Vec<&'static dyn SupportedKxGroup>,
}

/// A version that is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    Tls12,
    Tls13,
}

/// What is wanted of a client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientAuth {
    None,
    Request,
    RequireAny,
    VerifyIfGiven,
    RequireAndVerify,
}

impl ClientAuth {
    /// Their names, in the order of their declaration.
    pub(super) const NAMES: [&str; 5] = [
        "NoClientCert",
        "RequestClientCert",
        "RequireAnyClientCert",
        "VerifyClientCertIfGiven",
        "RequireAndVerifyClientCert",
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        // The old name of one of them.
        let name = if name == "RequireClientCert" { "RequireAnyClientCert" } else { name };
        let all = [Self::None, Self::Request, Self::RequireAny, Self::VerifyIfGiven, Self::RequireAndVerify];
        Self::NAMES.iter().zip(all).find(|(known, _)| **known == name).map(|(_, auth)| auth)
    }

    pub(super) fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }

    pub(super) fn requires(self) -> bool {
        matches!(self, Self::RequireAny | Self::RequireAndVerify)
    }
}

impl Tls {
    /// The files it depends on.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        [Some(&self.certificate), Some(&self.key), self.authorities.as_ref()]
            .into_iter()
            .flatten()
            .filter_map(Pem::file)
            .cloned()
    }

    /// The same in the terms of the TLS library; `None` if something is wrong, which is noted.
    pub(super) fn server_config(&self, faults: &mut Faults) -> Option<ServerConfig> {
        let (certificates, key) = (self.certificate.certificates(faults), self.key.key(faults));
        let provider = Arc::new(self.provider());
        let verifier = self.verifier(&provider, faults);
        let (certificates, key, verifier) = (certificates?, key?, verifier?);
        if self.max < self.min {
            // Noted where it was read.
            return None;
        }
        let built = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions())
            .map(|builder| builder.with_client_cert_verifier(verifier))
            .and_then(|builder| builder.with_single_cert(certificates, key));
        let mut config = match built {
            Ok(config) => config,
            Err(error) => {
                faults.note(self.certificate.spot(), told(&error));
                return None;
            }
        };
        config.ignore_client_order = self.server_order;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Some(config)
    }

    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let all = [(Version::Tls13, &TLS13), (Version::Tls12, &TLS12)];
        all.into_iter().filter(|(version, _)| (self.min..=self.max).contains(version)).map(|(_, ours)| ours).collect()
    }

    /// A list of suites chooses among those of TLS 1.2 only, as in Go.
    fn provider(&self) -> CryptoProvider {
        let mut provider = ring::default_provider();
        if !self.suites.is_empty() {
            provider.cipher_suites.retain(|suite| suite.tls13().is_some());
            provider.cipher_suites.extend(self.suites.iter().filter(|suite| suite.tls13().is_none()));
        }
        if !self.curves.is_empty() {
            provider.kx_groups.clone_from(&self.curves);
        }
        provider
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>, faults: &mut Faults) -> Option<Arc<dyn ClientCertVerifier>> {
        let algorithms = provider.signature_verification_algorithms;
        let inner: Arc<dyn ClientCertVerifier> = match self.auth {
            ClientAuth::None => return Some(WebPkiClientVerifier::no_client_auth()),
            ClientAuth::Request => Arc::new(AnyCertificate { algorithms, mandatory: false }),
            ClientAuth::RequireAny => Arc::new(AnyCertificate { algorithms, mandatory: true }),
            ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify => self.chain_verifier(provider, faults)?,
        };
        Some(match &self.allowed_names {
            Some(names) => Arc::new(NamedClients { inner, names: names.clone() }),
            None => inner,
        })
    }

    fn chain_verifier(
        &self,
        provider: &Arc<CryptoProvider>,
        faults: &mut Faults,
    ) -> Option<Arc<dyn ClientCertVerifier>> {
        let authorities = self.authorities.as_ref()?;
        let mut roots = RootCertStore::empty();
        let certificates = authorities.certificates(faults)?;
        if certificates.into_iter().any(|certificate| roots.add(certificate).is_err()) {
            faults.note(authorities.spot(), "the client CA holds a certificate that cannot be used".to_owned());
            return None;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let builder = if self.auth.requires() { builder } else { builder.allow_unauthenticated() };
        builder.build().map_err(|error| faults.note(authorities.spot(), format!("the client CA: {error}"))).ok()
    }
}

fn told(error: &Error) -> String {
    match error {
        Error::InconsistentKeys(_) => "the certificate and the key do not belong together".to_owned(),
        Error::InvalidCertificate(_) => "the certificate cannot be used".to_owned(),
        error => format!("the certificate and the key cannot be used: {error}"),
    }
}

/// Takes any certificate; that the client has its key is verified all the same.
#[derive(Debug)]
struct AnyCertificate {
    algorithms: WebPkiSupportedAlgorithms,
    mandatory: bool,
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Takes what another verifier takes, if one of its names is allowed.
#[derive(Debug)]
struct NamedClients {
    inner: Arc<dyn ClientCertVerifier>,
    names: Vec<String>,
}

impl ClientCertVerifier for NamedClients {
    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(certificate, intermediates, now)?;
        if san::names(certificate).iter().any(|name| self.names.contains(name)) {
            return Ok(verified);
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
