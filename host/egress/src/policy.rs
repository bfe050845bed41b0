//! Where a request may go: pure decisions about URLs and addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Is this URL one that may be asked for? `allowed` holds exact hosts and `*.example.com`.
///
/// # Errors
/// Says what is wrong with it.
pub fn check_url(text: &str, allowed: &[String]) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    if url.scheme() != "https" {
        return Err(format!("`{}` is not https", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL may not carry credentials".to_owned());
    }
    let Some(Host::Domain(host)) = url.host() else {
        // The parser has turned decimal, octal and hexadecimal spellings into addresses by now.
        return Err("a host must be a name, not an address".to_owned());
    };
    if host.ends_with('.') {
        return Err("a host may not end with a dot".to_owned());
    }
    if !allowed.iter().any(|pattern| matches(pattern, host)) {
        return Err(format!("`{host}` is not among the hosts this plugin was granted"));
    }
    Ok(url)
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
    !(a == 0
        || a >= 240
        || shared
        || benchmark
        || protocol
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let first = address.segments()[0];
    let documentation = first == 0x2001 && address.segments()[1] == 0x0db8;
    // Only 2000::/3 is given out.
    (0x2000..0x4000).contains(&first) && !documentation
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
        let granted = ["api.twilio.com".to_owned(), "*.twilio.com".to_owned()];
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
}
