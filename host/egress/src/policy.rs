//! Where a request may go: pure decisions about URLs and addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// A place where requests may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// A public service by its name, or `*.example.com`: over TLS alone.
    Host(String),
    /// The service of a URL that an operator typed: this host, by name or address, on this port, and without TLS if
    /// that is how it was typed. It may be in one of the operator's own networks.
    Service {
        /// As in a URL.
        host: String,
        /// The default of the scheme, if the URL has none.
        port: u16,
        /// Must it be over TLS?
        tls: bool,
    },
}

impl Grant {
    /// The service behind a URL.
    pub fn service(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let tls = tls_of(url.scheme())?;
        Some(Self::Service { host: url.host_str()?.to_owned(), port: url.port_or_known_default()?, tls })
    }

    fn covers(&self, url: &Url, host: &str, tls: bool) -> bool {
        match self {
            Self::Host(pattern) => tls && matches!(url.host(), Some(Host::Domain(_))) && matches(pattern, host),
            Self::Service { host: granted, port, tls: secure } => {
                granted.eq_ignore_ascii_case(host) && url.port_or_known_default() == Some(*port) && (tls || !secure)
            }
        }
    }
}

fn tls_of(scheme: &str) -> Option<bool> {
    match scheme {
        "https" | "wss" => Some(true),
        "http" | "ws" => Some(false),
        _ => None,
    }
}

/// Is this URL one that may be asked for? With it comes whether it is in a network of the operator's.
///
/// # Errors
/// Says what is wrong with it.
pub fn check_url(text: &str, grants: &[Grant]) -> Result<(Url, bool), String> {
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    let tls = tls_of(url.scheme()).ok_or_else(|| format!("`{}` is not https", url.scheme()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL may not carry credentials".to_owned());
    }
    // The parser has turned decimal, octal and hexadecimal spellings into addresses by now.
    let host = url.host_str().ok_or_else(|| "a URL needs a host".to_owned())?;
    if host.ends_with('.') {
        return Err("a host may not end with a dot".to_owned());
    }
    match grants.iter().find(|grant| grant.covers(&url, host, tls)) {
        Some(grant) => {
            let own = matches!(grant, Grant::Service { .. });
            Ok((url, own))
        }
        None if !tls => Err(format!("`{}` is not https, and no field of the account says it may be", url.scheme())),
        None => Err(format!("`{host}` is not among the hosts this plugin was granted")),
    }
}

/// A star stands for one or more labels.
fn matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => host.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => pattern.eq_ignore_ascii_case(host),
    }
}

/// Is it an address on the public Internet?
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => embedded_v4(address).map_or_else(|| is_public_v6(address), is_public_v4),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmark = a == 198 && (18..20).contains(&b);
    let protocol = a == 192 && b == 0 && c == 0;
    let relay = a == 192 && b == 88 && c == 99;
    !(a == 0
        || a >= 240
        || shared
        || benchmark
        || protocol
        || relay
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let documentation = first == 0x2001 && second == 0x0db8 || first == 0x3FFF && second < 0x1000;
    // Teredo, benchmarks, ORCHID: 2001::/23 is for protocols.
    let protocols = first == 0x2001 && second < 0x0200;
    // Only 2000::/3 is given out.
    (0x2000..0x4000).contains(&first) && !documentation && !protocols
}

/// An IPv4 address inside an IPv6 one: mapped, compatible, NAT64, 6to4.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let low = || Ipv4Addr::from((u32::from(s[6]) << 16) | u32::from(s[7]));
    match s {
        [0, 0, 0, 0, 0, 0xFFFF, ..] | [0x64, 0xFF9B, 0, 0, 0, 0, ..] => Some(low()),
        [0, 0, 0, 0, 0, 0, ..] => Some(low()),
        [0x2002, high, low, ..] => Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn addresses_that_are_not_public_are_known_in_every_dress() {
        let not_public = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.1",
            "203.0.113.5",
            "192.88.99.1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "3fff::1",
            "::1",
            "::",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
        ];
        for address in not_public {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn only_granted_names_over_https_pass() {
        let granted = [Grant::Host("api.twilio.com".to_owned()), Grant::Host("*.twilio.com".to_owned())];
        for url in ["https://api.twilio.com/x", "https://api.dublin.ie1.twilio.com", "https://API.TWILIO.COM:8443/"] {
            assert!(check_url(url, &granted).is_ok(), "{url}");
        }
        let refused = [
            "http://api.twilio.com/",
            "ftp://api.twilio.com/",
            "https://twilio.com/",
            "https://evil.com/",
            "https://api.twilio.com.evil.com/",
            "https://eviltwilio.com/",
            "https://u:p@api.twilio.com/",
            "https://api.twilio.com@evil.com/",
            "https://api.twilio.com./",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "not a url",
            "",
        ];
        for url in refused {
            assert!(check_url(url, &granted).is_err(), "{url}");
        }
    }
    #[test]
    fn a_service_that_an_operator_typed_is_reached_as_typed_and_nothing_beside_it() {
        let granted = |url: &str| [Grant::service(url).unwrap()];
        let plain = granted("http://10.0.0.5:8088/prefix");
        for url in ["http://10.0.0.5:8088/ari/channels", "ws://10.0.0.5:8088/ari/events", "https://10.0.0.5:8088/"] {
            assert!(check_url(url, &plain).is_ok_and(|(_, own)| own), "{url}");
        }
        for url in
            ["http://10.0.0.5/", "http://10.0.0.6:8088/", "http://10.0.0.5.evil.com:8088/", "ftp://10.0.0.5:8088/"]
        {
            assert!(check_url(url, &plain).is_err(), "{url}");
        }
        let secure = granted("https://pbx.example.com:8089");
        assert!(check_url("wss://pbx.example.com:8089/ari/events", &secure).is_ok());
        assert!(check_url("ws://pbx.example.com:8089/ari/events", &secure).is_err(), "without the TLS that was typed");
        assert!(Grant::service("not a url").is_none() && Grant::service("ftp://a").is_none());
    }
}
