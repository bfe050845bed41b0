//! How many connections there may be, over all and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use super::TrustedProxies;

/// Counts connections. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Doors(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    most_per_address: usize,
    proxies: TrustedProxies,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    doors: Doors,
    address: IpAddr,
}

impl Doors {
    pub(crate) fn new(most: usize, most_per_address: usize, proxies: TrustedProxies) -> Self {
        Self(Arc::new(Inner { most, most_per_address, proxies, inside: Mutex::default() }))
    }

    /// A place for a connection from there, unless all are taken.
    pub(crate) fn enter(&self, peer: IpAddr) -> Option<Place> {
        let address = bucket(peer);
        let mut inside = self.0.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.all >= self.0.most {
            return None;
        }
        let here = inside.by_address.entry(address).or_default();
        // Everybody behind a proxy comes from its address.
        if *here >= self.0.most_per_address && !self.0.proxies.contains(peer) {
            return None;
        }
        *here += 1;
        inside.all += 1;
        Some(Place { doors: self.clone(), address })
    }

    /// Connections that are open.
    pub(crate) fn inside(&self) -> usize {
        self.0.inside.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.doors.0.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.all = inside.all.saturating_sub(1);
        if let Some(here) = inside.by_address.get_mut(&self.address) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                inside.by_address.remove(&self.address);
            }
        }
    }
}

/// One customer has a whole /64 of version 6, and one address of version 4.
pub(crate) fn bucket(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_cannot_take_the_places_of_others_and_gives_its_own_back() {
        let doors = Doors::new(3, 2, TrustedProxies::default());
        let (one, two) = (doors.enter(address("192.0.2.1")), doors.enter(address("::ffff:192.0.2.1")));
        assert!(one.is_some() && two.is_some());
        assert!(doors.enter(address("192.0.2.1")).is_none());
        let other = doors.enter(address("192.0.2.2"));
        assert!(other.is_some());
        assert!(doors.enter(address("192.0.2.3")).is_none(), "all places are taken");
        drop(one);
        assert!(doors.enter(address("192.0.2.1")).is_some());
        drop((two, other));
        assert_eq!(doors.inside(), 0);
        assert!(doors.0.inside.lock().unwrap().by_address.is_empty());
    }

    #[test]
    fn a_whole_version_6_network_counts_as_one_and_a_trusted_proxy_as_many() {
        let doors = Doors::new(10, 1, TrustedProxies::parse(&["192.0.2.9".to_owned()]).unwrap());
        let _one = doors.enter(address("2001:db8::1")).unwrap();
        assert!(doors.enter(address("2001:db8::2")).is_none());
        let _other = doors.enter(address("2001:db8:0:1::1")).unwrap();
        let proxied = [doors.enter(address("192.0.2.9")), doors.enter(address("192.0.2.9"))];
        assert!(proxied.iter().all(Option::is_some));
    }
}
