//! Whose word about the client's address counts.

use std::net::IpAddr;

use http::HeaderMap;
use serde::Deserialize;

/// Peers that stand between the world and this server: addresses, or networks as `10.0.0.0/8`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct TrustedProxies(Vec<Network>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    bits: u128,
    mask: u128,
}

impl TrustedProxies {
    /// From addresses and networks as people write them.
    ///
    /// # Errors
    /// A sentence about the first that is neither.
    pub fn parse(listed: &[String]) -> Result<Self, String> {
        listed.iter().map(|text| Network::parse(text)).collect::<Result<_, _>>().map(Self)
    }

    /// Is it listed?
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = bits_of(address);
        self.0.iter().any(|network| bits & network.mask == network.bits)
    }

    /// Who sent a request: the peer, or whom a listed peer names, seen from the right: what is further left may be
    /// the client's own invention.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let lines: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().map(|line| line.to_str().unwrap_or_default()).collect();
        let mut named = lines.iter().rev().flat_map(|line| line.rsplit(','));
        while self.contains(client) {
            match named.next().map(|text| text.trim().parse::<IpAddr>()) {
                Some(Ok(address)) => client = address.to_canonical(),
                Some(Err(_)) | None => break,
            }
        }
        client
    }
}

impl TryFrom<Vec<String>> for TrustedProxies {
    type Error = String;

    fn try_from(listed: Vec<String>) -> Result<Self, String> {
        Self::parse(&listed)
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self, String> {
        let odd = || format!("`{text}` is neither an address nor a network; write 192.0.2.1 or 10.0.0.0/8");
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().map_err(|_| odd())?)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| odd())?;
        // Version 4 lives in the last 32 bits of version 6.
        let (before, most) = if address.is_ipv4() { (96, 32) } else { (0, 128) };
        let length = length.unwrap_or(most);
        if length > most {
            return Err(odd());
        }
        let mask = u128::MAX.checked_shl(128 - (before + length)).unwrap_or(0);
        Ok(Self { bits: bits_of(address) & mask, mask })
    }
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn proxies(listed: &[&str]) -> TrustedProxies {
        let listed: Vec<String> = listed.iter().map(|text| (*text).to_owned()).collect();
        TrustedProxies::parse(&listed).unwrap()
    }

    fn client(listed: &[&str], peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        proxies(listed).client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_stranger_cannot_say_who_he_is() {
        assert_eq!(client(&[], "203.0.113.5", &["192.0.2.1"]), "203.0.113.5");
        assert_eq!(client(&["10.0.0.0/8"], "203.0.113.5", &["192.0.2.1"]), "203.0.113.5");
    }

    #[test]
    fn of_what_proxies_say_the_last_word_before_a_stranger_counts() {
        let listed = ["10.0.0.0/8", "fd00::/8"];
        assert_eq!(client(&listed, "10.1.2.3", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client(&listed, "10.1.2.3", &["forged, 192.0.2.1, 10.9.9.9"]), "192.0.2.1");
        assert_eq!(client(&listed, "fd00::1", &["198.51.100.7", "192.0.2.1"]), "192.0.2.1");
        assert_eq!(client(&listed, "::ffff:10.1.2.3", &["192.0.2.1"]), "192.0.2.1");
    }

    #[test]
    fn a_proxy_that_names_nobody_is_the_client_itself() {
        for lines in [&[][..], &["unknown"], &[""], &["192.0.2.1, not an address"]] {
            assert_eq!(client(&["10.0.0.1"], "10.0.0.1", lines), "10.0.0.1", "{lines:?}");
        }
    }

    #[test]
    fn networks_are_read_as_people_write_them() {
        let some = proxies(&["192.0.2.0/31", "2001:db8::/32", "0.0.0.0/0"]);
        assert!(some.contains("198.51.100.1".parse().unwrap()), "/0 is everybody of version 4");
        let some = proxies(&["192.0.2.0/31", "2001:db8::/32"]);
        for (address, inside) in
            [("192.0.2.0", true), ("192.0.2.1", true), ("192.0.2.2", false), ("2001:db8:5::1", true), ("::1", false)]
        {
            assert_eq!(some.contains(address.parse().unwrap()), inside, "{address}");
        }
        for odd in ["", "example.net", "10.0.0.0/33", "::/129", "10.0.0.0/x", "10.0.0/8"] {
            assert!(TrustedProxies::parse(&[odd.to_owned()]).is_err(), "{odd}");
        }
    }
}
