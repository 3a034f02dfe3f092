//! Reads from a certificate the one thing that rustls does not tell: when it ends. A certificate is nested tag-length-
//! value records (DER, X.690); the way to the date is fixed by RFC 5280 section 4.1, so only that way is walked.
//!
//! The certificate has been verified before anybody looks here, so a date that cannot be read is merely not shown.

use std::time::{Duration, SystemTime};

use crate::model::UnixTime;

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The explicitly tagged version, which old certificates leave out.
const VERSION: u8 = 0xa0;

/// The second in which the certificate ends; `None` if it is not one.
pub(super) fn not_after(der: &[u8]) -> Option<UnixTime> {
    let (certificate, _) = record(der, SEQUENCE)?;
    let (signed, _) = record(certificate, SEQUENCE)?;
    let rest = record(signed, VERSION).map_or(signed, |(_, rest)| rest);
    let (_, rest) = record(rest, INTEGER)?;
    let (_, rest) = record(rest, SEQUENCE)?;
    let (_, rest) = record(rest, SEQUENCE)?;
    let (validity, _) = record(rest, SEQUENCE)?;
    let (_, rest) = time(validity)?;
    time(rest).map(|(time, _)| time)
}

/// The content of the record at the start of `der`, which must have this tag, and what follows the record.
fn record(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [found, first, rest @ ..] = der else { return None };
    if *found != tag {
        return None;
    }
    // Short form: the length itself. Long form: the number of bytes that hold it.
    let digits = if *first < 0x80 { 0 } else { usize::from(first & 0x7f) };
    if 4 < digits || *first == 0x80 {
        return None;
    }
    let (long, rest) = rest.split_at_checked(digits)?;
    let long = long.iter().fold(0, |length: usize, byte| length << 8 | usize::from(*byte));
    rest.split_at_checked(if digits == 0 { usize::from(*first) } else { long })
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`: the only forms that RFC 5280 allows.
fn time(der: &[u8]) -> Option<(UnixTime, &[u8])> {
    let (text, rest, full) = match record(der, UTC_TIME) {
        Some((text, rest)) => (text, rest, false),
        None => record(der, GENERALIZED_TIME).map(|(text, rest)| (text, rest, true))?,
    };
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let century = match text.get(..2)? {
        _ if full => "",
        year if year < "50" => "20",
        _ => "19",
    };
    let digits = format!("{century}{text}");
    if digits.len() != 14 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |at: usize| &digits[at..at + 2];
    let (month, day, hour, minute, second) = (part(4), part(6), part(8), part(10), part(12));
    let stamp = format!("{}-{month}-{day}T{hour}:{minute}:{second}Z", &digits[..4]);
    let since_epoch = humantime::parse_rfc3339(&stamp).ok()?.duration_since(SystemTime::UNIX_EPOCH);
    Some((UnixTime::from_seconds(since_epoch.unwrap_or(Duration::ZERO).as_secs())?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        let head = match content.len() {
            short @ 0..0x80 => vec![tag, u8::try_from(short).unwrap()],
            0x80..0x100 => vec![tag, 0x81, length[1]],
            _ => vec![tag, 0x82, length[0], length[1]],
        };
        [head, content.to_vec()].concat()
    }

    fn certificate(version: bool, issuer: usize, not_after: &[u8]) -> Vec<u8> {
        let validity = tlv(SEQUENCE, &[tlv(UTC_TIME, b"200101000000Z"), not_after.to_vec()].concat());
        let version = if version { tlv(VERSION, &tlv(INTEGER, &[2])) } else { Vec::new() };
        let parts = [
            version,
            tlv(INTEGER, &[0x7f; 20]),
            tlv(SEQUENCE, &[5, 0]),
            tlv(SEQUENCE, &vec![0; issuer]),
            validity,
            tlv(SEQUENCE, b"subject"),
        ];
        tlv(SEQUENCE, &[tlv(SEQUENCE, &parts.concat()), tlv(SEQUENCE, b"signature")].concat())
    }

    fn read(tag: u8, text: &str) -> Option<String> {
        not_after(&certificate(true, 10, &tlv(tag, text.as_bytes()))).map(|time| time.to_string())
    }

    #[test]
    fn the_end_is_read_in_both_forms_of_time() {
        for (tag, text, wanted) in [
            (UTC_TIME, "261122103000Z", Some("2026-11-22T10:30:00.000Z")),
            (UTC_TIME, "491231235959Z", Some("2049-12-31T23:59:59.000Z")),
            (UTC_TIME, "991231235959Z", Some("1999-12-31T23:59:59.000Z")),
            (GENERALIZED_TIME, "20500101000000Z", Some("2050-01-01T00:00:00.000Z")),
            (GENERALIZED_TIME, "99991231235959Z", Some("9999-12-31T23:59:59.000Z")),
            (UTC_TIME, "261322103000Z", None),
            (UTC_TIME, "2611221030Z", None),
            (UTC_TIME, "261122103000+0100", None),
            (GENERALIZED_TIME, "20261122103000.5Z", None),
            (UTC_TIME, "26é122103000Z", None),
            (INTEGER, "261122103000Z", None),
        ] {
            assert_eq!(read(tag, text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn old_and_long_certificates_are_read_too() {
        let end = tlv(UTC_TIME, b"261122103000Z");
        for issuer in [0, 127, 128, 255, 256, 3000] {
            assert!(not_after(&certificate(false, issuer, &end)).is_some(), "{issuer}");
            assert!(not_after(&certificate(true, issuer, &end)).is_some(), "{issuer}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = not_after(&bytes);
        }

        #[test]
        fn a_certificate_cut_short_or_damaged_does_no_harm(cut in 0_usize..200, at in 0_usize..200, byte: u8) {
            let mut whole = certificate(true, 40, &tlv(UTC_TIME, b"261122103000Z"));
            let end = whole.len().min(cut);
            let _ = not_after(&whole[..end]);
            let at = at % whole.len();
            whole[at] = byte;
            let _ = not_after(&whole);
        }
    }
}
