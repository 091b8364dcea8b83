//! Ranges of addresses, as settings name them.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// `10.0.0.1` or `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange(IpNet);

impl AddressRange {
    /// What is wrong with a text that [`AddressRange::parse`] does not take.
    pub const EXPECTED: &str = "must be an address or a range such as 10.0.0.0/8";

    pub fn parse(text: &str) -> Option<Self> {
        text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok().map(Self)
    }

    /// An IPv4 address that is written as an IPv6 one is what it stands for.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

/// What counts as one address where addresses are counted: one of IPv4; of IPv6 the network of 64 bits, which is
/// what a single customer is given at least.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_is_one_address() {
        let network = |address: &str| network(address.parse().expect("an address")).to_string();
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }

    #[test]
    fn addresses_and_ranges() {
        let within = |range: &str, address: &str| {
            AddressRange::parse(range).expect("a range").contains(address.parse().expect("an address"))
        };
        assert!(within("10.0.0.0/8", "10.9.8.7"));
        assert!(within("10.0.0.0/8", "::ffff:10.9.8.7"));
        assert!(!within("10.0.0.0/8", "11.0.0.1"));
        assert!(within("::1", "::1") && !within("::1", "::2"));
        assert!(within("0.0.0.0/0", "1.2.3.4") && !within("0.0.0.0/0", "::1"));
        for not in ["", "10.0.0.0/40", "10.0.0", "10.0.0.0/", "host", "10.0.0.0/-1"] {
            assert_eq!(AddressRange::parse(not), None, "{not}");
        }
    }
}
