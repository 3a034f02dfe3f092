//! The subject alternative names of a certificate. The TLS library verifies certificates without showing them, so this
//! reads as much of the DER encoding (RFC 5280) as lies on the way to the names, and nothing else.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A value with its tag, and what follows it.
type Element<'a> = (u8, &'a [u8], &'a [u8]);

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;

/// `[3]` of `TBSCertificate`.
const EXTENSIONS: u8 = 0xa3;

/// 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// `[1]`, `[2]`, `[6]` and `[7]` of `GeneralName`.
const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const ADDRESS: u8 = 0x87;

/// DNS names, e-mail addresses, IP addresses and URIs of the certificate, as they are written; none if it has none or
/// is no certificate.
pub(super) fn names(certificate: &[u8]) -> Vec<String> {
    let Some(mut general) = subject_alt_name(certificate) else { return Vec::new() };
    let mut names = Vec::new();
    while let Some((tag, value, rest)) = element(general) {
        general = rest;
        names.extend(match tag {
            EMAIL | DNS | URI => std::str::from_utf8(value).ok().map(str::to_owned),
            ADDRESS => address(value),
            _ => None,
        });
    }
    names
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| Ipv4Addr::from(bytes).to_string());
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).to_string())).ok()
}

/// The content of the sequence of names.
fn subject_alt_name(certificate: &[u8]) -> Option<&[u8]> {
    let whole = content(certificate, SEQUENCE)?;
    let mut signed = content(whole, SEQUENCE)?;
    let mut extensions = loop {
        let (tag, value, rest) = element(signed)?;
        if tag == EXTENSIONS {
            break content(value, SEQUENCE)?;
        }
        signed = rest;
    };
    while let Some((_, extension, rest)) = element(extensions) {
        extensions = rest;
        let (tag, identifier, mut fields) = element(extension)?;
        if tag != OBJECT_IDENTIFIER || identifier != SUBJECT_ALT_NAME {
            continue;
        }
        // Whether it is critical may stand before the value.
        while let Some((tag, value, rest)) = element(fields) {
            if tag == OCTET_STRING {
                return content(value, SEQUENCE);
            }
            fields = rest;
        }
    }
    None
}

/// The content of the first element, if it has this tag.
fn content(der: &[u8], wanted: u8) -> Option<&[u8]> {
    element(der).filter(|(tag, ..)| *tag == wanted).map(|(_, value, _)| value)
}

/// The first element. Tags of more than one byte occur nowhere in a certificate.
fn element(der: &[u8]) -> Option<Element<'_>> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*first) {
        short if short < 0x80 => (short, rest),
        long => {
            let bytes = long & 0x7f;
            if !(1..=4).contains(&bytes) {
                return None;
            }
            let (length, rest) = rest.split_at_checked(bytes)?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((*tag, value, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(names: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn every_kind_of_name_is_found() {
        let der = certificate(vec![
            SanType::DnsName("*.example.org".try_into().unwrap()),
            SanType::Rfc822Name("me@example.org".try_into().unwrap()),
            SanType::URI("spiffe://example.org/prometheus".try_into().unwrap()),
            SanType::IpAddress("192.0.2.1".parse().unwrap()),
            SanType::IpAddress("2001:db8::1".parse().unwrap()),
        ]);
        let wanted = ["*.example.org", "me@example.org", "spiffe://example.org/prometheus", "192.0.2.1", "2001:db8::1"];
        assert_eq!(names(&der), wanted);
        assert_eq!(names(&certificate(Vec::new())), Vec::<String>::new());
    }

    #[test]
    fn whatever_is_cut_or_changed_is_read_without_harm() {
        let der = certificate(vec![SanType::DnsName("a.example.org".try_into().unwrap())]);
        for end in 0..der.len() {
            let _ = names(&der[..end]);
            let mut changed = der.clone();
            changed[end] ^= 0xff;
            let _ = names(&changed);
        }
        for garbage in
            [&[][..], &[0x30], &[0x30, 0x80], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0x85, 1, 1, 1, 1, 1]]
        {
            assert!(names(garbage).is_empty());
        }
    }
}
