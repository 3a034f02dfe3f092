//! Which addresses may be connected to. Where somebody else chooses the target, what only this machine can reach must
//! stay out of his reach: the services that hand out credentials of a cloud machine, and everything link-local. What
//! counts is the address that is connected to, so no spelling of it and no name that resolves to it makes a difference.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::dial::DialFault;
use crate::observation::{ErrorKind, PollError};

/// Single addresses of metadata services that are not link-local.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];

/// The same of IPv6, which lie among private addresses: EC2, Google, Oracle, Scaleway.
const METADATA_V6: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
];

/// `64:ff9b:1::/48`, whose bits are an IPv4 address in an order that only the local network knows (RFC 8215).
const LOCAL_NAT64: [u16; 3] = [0x64, 0xff9b, 1];

/// Which addresses may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// All of them: the target stands in the configuration, or a person at this machine named it.
    #[default]
    Anywhere,
    /// Not link-local, multicast, unspecified, broadcast or metadata addresses: somebody else chose the target.
    Guarded,
}

impl Reach {
    /// Those of `addresses` that are within reach, at least one.
    pub(super) fn allowed(self, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, DialFault> {
        if self == Self::Anywhere {
            return Ok(addresses);
        }
        let allowed: Vec<IpAddr> = addresses.into_iter().filter(|address| !is_guarded(*address)).collect();
        if allowed.is_empty() {
            let error = PollError::new(ErrorKind::Local, "haltwatch does not connect to this address on request");
            return Err(DialFault { forbidden: true, ..DialFault::from(error) });
        }
        Ok(allowed)
    }
}

fn is_guarded(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_guarded_v4(v4),
        IpAddr::V6(v6) => {
            // fe80::/10, and fec0::/10 that once was its neighbour.
            let local = v6.segments()[0] & 0xff80 == 0xfe80 || v6.segments()[..3] == LOCAL_NAT64;
            let metadata = METADATA_V6.contains(&v6);
            local || metadata || v6.is_multicast() || v6.is_unspecified() || embedded(v6).any(is_guarded_v4)
        }
    }
}

fn is_guarded_v4(v4: Ipv4Addr) -> bool {
    let this_network = v4.octets()[0] == 0;
    this_network || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast() || METADATA_V4.contains(&v4)
}

/// The IPv4 addresses that an IPv6 address can stand for: mapped, compatible, NAT64 and 6to4.
fn embedded(v6: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let parts = v6.segments();
    let v4 = |at: usize| Ipv4Addr::from(u32::from(parts[at]) << 16 | u32::from(parts[at + 1]));
    let last = match parts[..6] {
        // ::1 is this machine, which is no more guarded than 127.0.0.1.
        [0, 0, 0, 0, 0, 0] => parts[6] != 0,
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => true,
        _ => false,
    };
    last.then(|| v4(6)).into_iter().chain((parts[0] == 0x2002).then(|| v4(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarded(address: &str) -> bool {
        Reach::Guarded.allowed(vec![address.parse().unwrap()]).is_err()
    }

    #[test]
    fn addresses_that_only_this_machine_can_reach_are_refused_in_every_form() {
        for address in [
            "169.254.169.254",
            "169.254.0.0",
            "169.254.255.255",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "224.0.0.1",
            "239.255.255.255",
            "255.255.255.255",
            "0.0.0.0",
            "0.1.2.3",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
            "64:ff9b:1::a9fe:a9fe",
            "64:ff9b:1:a9fe:a9:fe00::",
            "ff02::1",
            "::",
            "::ffff:169.254.169.254",
            "::ffff:0:169.254.169.254",
            "::169.254.169.254",
            "::ffff:168.63.129.16",
            "::ffff:0.0.0.0",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::ffff:224.0.0.1",
        ] {
            assert!(guarded(address), "{address}");
        }
    }

    #[test]
    fn ordinary_and_private_addresses_are_within_reach() {
        for address in [
            "127.0.0.1",
            "10.0.0.1",
            "192.168.1.1",
            "100.100.100.201",
            "168.63.129.17",
            "192.0.2.1",
            "169.253.1.1",
            "::1",
            "fd00:ec2::253",
            "fd12::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "64:ff9b::808:808",
            "fe00::1",
        ] {
            assert!(!guarded(address), "{address}");
        }
    }

    #[test]
    fn of_several_addresses_those_within_reach_remain() {
        let both = vec!["169.254.169.254".parse().unwrap(), "192.0.2.1".parse().unwrap()];
        assert_eq!(Reach::Guarded.allowed(both.clone()), Ok(vec![both[1]]));
        assert_eq!(Reach::Anywhere.allowed(both.clone()), Ok(both));
    }
}
