//! Ranges of addresses, as settings name them.

use std::net::IpAddr;

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

#[cfg(test)]
mod tests {
    use super::*;

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
