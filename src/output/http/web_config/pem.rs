//! Certificates and keys, from a file or written in place.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::{
    FILE_BYTES,
    fault::{Faults, Spot},
};

/// Where PEM text comes from.
pub(super) enum Pem {
    File(PathBuf, Spot),
    Inline(String, Spot),
}

impl Pem {
    pub(super) fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(path, _) => Some(path),
            Self::Inline(..) => None,
        }
    }

    pub(super) fn spot(&self) -> Spot {
        match self {
            Self::File(_, spot) | Self::Inline(_, spot) => *spot,
        }
    }

    /// All certificates in it, at least one.
    pub(super) fn certificates(&self, faults: &mut Faults) -> Option<Vec<CertificateDer<'static>>> {
        let text = self.text(faults)?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        match certificates {
            Ok(certificates) if !certificates.is_empty() => Some(certificates),
            Ok(_) => self.wrong("holds no certificate", faults),
            Err(_) => self.wrong("is not PEM", faults),
        }
    }

    /// The first private key in it.
    pub(super) fn key(&self, faults: &mut Faults) -> Option<PrivateKeyDer<'static>> {
        let text = self.text(faults)?;
        PrivateKeyDer::from_pem_slice(&text)
            .ok()
            .or_else(|| self.wrong("holds no private key without a password", faults))
    }

    fn text(&self, faults: &mut Faults) -> Option<Vec<u8>> {
        match self {
            Self::Inline(text, _) => Some(text.clone().into_bytes()),
            Self::File(path, spot) => bounded(path)
                .map_err(|error| faults.note(*spot, format!("{} cannot be read: {error}", path.display())))
                .ok(),
        }
    }

    fn wrong<T>(&self, what: &str, faults: &mut Faults) -> Option<T> {
        let name = self.file().map_or("the text".to_owned(), |path| path.display().to_string());
        faults.note(self.spot(), format!("{name} {what}"));
        None
    }
}

/// The content of a file that is not larger than any of those that belong here.
pub(super) fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(FILE_BYTES + 1).read_to_end(&mut content)?;
    if FILE_BYTES < content.len() as u64 {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 1 MiB"));
    }
    Ok(content)
}
