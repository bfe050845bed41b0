//! Networks of the operator's own, beside the public one.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use tokio::net::TcpStream;

use crate::client::EgressError;
use crate::policy;

/// Where else than on the public Internet something may be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    /// These, by name.
    pub own: Vec<IpNet>,
    /// Anywhere: for tests.
    pub any: bool,
}

impl Networks {
    /// No bounds.
    pub fn any() -> Self {
        Self { own: Vec::new(), any: true }
    }

    /// May this address be dialled?
    pub fn reaches(&self, address: IpAddr) -> bool {
        // An IPv4 address in IPv6's clothes is in its own network.
        let address = address.to_canonical();
        self.any || policy::is_public(address) || self.own.iter().any(|network| network.contains(&address))
    }

    /// Connects to the first address of a host that may be dialled and answers. What was checked is what is dialled.
    ///
    /// # Errors
    /// `Denied` when the host has addresses, and none may be dialled.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, EgressError> {
        let unreachable = |error: std::io::Error| EgressError::Unreachable(error.to_string());
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await.map_err(unreachable)?.collect();
        let allowed: Vec<SocketAddr> = found.iter().copied().filter(|address| self.reaches(address.ip())).collect();
        if allowed.is_empty() && !found.is_empty() {
            return Err(EgressError::Denied("the host leads to no address that may be dialled".to_owned()));
        }
        TcpStream::connect(&allowed[..]).await.map_err(unreachable)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn own_networks_are_reached_and_their_neighbours_are_not() {
        let networks = Networks { own: vec!["10.1.0.0/16".parse().unwrap(), "::1/128".parse().unwrap()], any: false };
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "::1", "8.8.8.8"] {
            assert!(networks.reaches(address.parse().unwrap()), "{address}");
        }
        for address in ["10.2.0.1", "127.0.0.1", "169.254.169.254", "::ffff:169.254.169.254", "fd00::1"] {
            assert!(!networks.reaches(address.parse().unwrap()), "{address}");
        }
        assert!(Networks::any().reaches("169.254.169.254".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_host_that_leads_elsewhere_is_denied_and_not_dialled() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["localhost", "127.0.0.1"] {
            assert!(matches!(Networks::default().connect(host, port).await, Err(EgressError::Denied(_))), "{host}");
        }
        let local = Networks { own: vec!["127.0.0.0/8".parse().unwrap()], any: false };
        assert!(local.connect("127.0.0.1", port).await.is_ok());
    }
}
