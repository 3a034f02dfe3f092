//! Sorts the failures of name resolution, sockets, TLS and HTTP into our closed set. The texts are those of the
//! libraries, which know neither the path nor the headers of a request.

use std::{error::Error, io};

use rustix::io::Errno;
use rustls::CertificateError;

use super::dial::DialFault;
use crate::{
    model::UnixTime,
    observation::{ErrorKind, PollError, probe::TlsFault},
};

/// What the operating system says when the fault is on our side of the wire.
const LOCAL: [Errno; 7] =
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::ADDRNOTAVAIL, Errno::PERM, Errno::AFNOSUPPORT];

/// A failed name resolution.
pub(super) fn lookup(error: &io::Error) -> PollError {
    let kind = if is_local(error) { ErrorKind::Local } else { ErrorKind::Dns };
    PollError::new(kind, &error.to_string())
}

/// A failed TLS handshake. Whatever the other side sent that is not TLS, or not trusted, is a matter of TLS.
pub(super) fn handshake(error: &io::Error) -> PollError {
    let kind = match io_kind(error) {
        ErrorKind::Malformed => ErrorKind::Tls,
        kind => kind,
    };
    PollError::new(kind, &error.to_string())
}

/// The same in the detail that a probe tells.
pub(super) fn dial(error: &io::Error) -> DialFault {
    let (tls, expired_at) = tls_fault(error);
    DialFault { error: handshake(error), tls, expired_at, forbidden: false }
}

/// What is wrong with the certificate, and when it ended if that is what is wrong.
fn tls_fault(error: &io::Error) -> (Option<TlsFault>, Option<UnixTime>) {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return (None, None);
    };
    let certificate = match error {
        rustls::Error::InvalidCertificate(certificate) => certificate,
        rustls::Error::InvalidMessage(_) => return (Some(TlsFault::NotTls), None),
        _ => return (Some(TlsFault::Other), None),
    };
    let fault = match certificate {
        CertificateError::Expired => TlsFault::Expired,
        CertificateError::ExpiredContext { not_after, .. } => {
            return (Some(TlsFault::Expired), UnixTime::from_seconds(not_after.as_secs()));
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFault::NotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => TlsFault::WrongName,
        // An issuer of a name we trust, but with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFault::UnknownIssuer,
        _ => TlsFault::Other,
    };
    (Some(fault), None)
}

/// A failed operation on a socket.
pub(super) fn io(error: &io::Error) -> PollError {
    PollError::new(io_kind(error), &error.to_string())
}

/// A failed HTTP exchange.
pub(super) fn http(error: &hyper::Error) -> PollError {
    let cause = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>());
    let kind = match cause {
        Some(cause) => io_kind(cause),
        None if error.is_parse() => ErrorKind::Malformed,
        None if error.is_user() => ErrorKind::Local,
        None => ErrorKind::Reset,
    };
    let text = match (kind, cause) {
        (ErrorKind::Reset, None) => "the connection was closed before the answer was complete".to_owned(),
        (_, Some(cause)) => cause.to_string(),
        (_, None) => error.to_string(),
    };
    PollError::new(kind, &text)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        error.source()
    })
}

fn io_kind(error: &io::Error) -> ErrorKind {
    if is_local(error) {
        return ErrorKind::Local;
    }
    if error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some() {
        return ErrorKind::Tls;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorKind::Refused,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            ErrorKind::Unreachable
        }
        // Some firewalls refuse with an administrative prohibition, which the kernel reports as a lack of permission.
        io::ErrorKind::PermissionDenied => ErrorKind::Unreachable,
        io::ErrorKind::TimedOut => ErrorKind::Timeout,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => ErrorKind::Malformed,
        _ => ErrorKind::Reset,
    }
}

/// Whether the operating system says that the fault is on our side of the wire.
pub(super) fn is_local(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
        || Errno::from_io_error(error).is_some_and(|errno| LOCAL.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_the_operating_system_tell_the_node_from_us() {
        for (errno, wanted) in [
            (Errno::CONNREFUSED, ErrorKind::Refused),
            (Errno::HOSTUNREACH, ErrorKind::Unreachable),
            (Errno::NETUNREACH, ErrorKind::Unreachable),
            (Errno::ACCESS, ErrorKind::Unreachable),
            (Errno::CONNRESET, ErrorKind::Reset),
            (Errno::PIPE, ErrorKind::Reset),
            (Errno::TIMEDOUT, ErrorKind::Timeout),
            (Errno::MFILE, ErrorKind::Local),
            (Errno::NFILE, ErrorKind::Local),
            (Errno::ADDRNOTAVAIL, ErrorKind::Local),
            (Errno::NOMEM, ErrorKind::Local),
        ] {
            assert_eq!(io(&io::Error::from(errno)).kind, wanted, "{errno}");
        }
    }

    #[test]
    fn running_out_of_descriptors_while_resolving_is_not_a_fault_of_the_name() {
        assert_eq!(lookup(&io::Error::from(Errno::MFILE)).kind, ErrorKind::Local);
        assert_eq!(lookup(&io::Error::other("no such host")).kind, ErrorKind::Dns);
    }
}
