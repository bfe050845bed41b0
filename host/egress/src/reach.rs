//! Which addresses may be dialled, decided where a name becomes addresses.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use url::{Host, Url};

use crate::client::EgressSettings;
use crate::networks::Networks;

/// Names that are looked up at the same time. A lookup occupies a thread until the resolver answers, also when nobody waits for
/// it any more: beyond this, requests wait here, where their patience can end.
static LOOKUPS: Semaphore = Semaphore::const_new(32);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a name led to.
pub(crate) type Found = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;

/// Who knows the addresses of names.
pub(crate) trait Names: std::fmt::Debug + Send + Sync {
    fn look_up(&self, host: String, port: u16) -> Found;
}

/// This machine's resolver.
#[derive(Debug)]
pub(crate) struct System;

impl Names for System {
    fn look_up(&self, host: String, port: u16) -> Found {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// Resolves once, drops addresses that may not be dialled, and hands the rest to be dialled as they are.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    pub(crate) settings: Arc<EgressSettings>,
    pub(crate) names: Arc<dyn Names>,
    /// A service whose URL an operator typed, which may be in a network of the operator's.
    pub(crate) own: bool,
}

/// Why an address may not be dialled.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotAllowed(pub(crate) String);

impl NotAllowed {
    /// The refusal behind an error of the client's, if one is.
    pub(crate) fn behind<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        let mut error = Some(error);
        while let Some(inner) = error {
            if let Some(refusal) = inner.downcast_ref() {
                return Some(refusal);
            }
            error = inner.source();
        }
        None
    }
}

/// The address that a URL's host is, if it is one.
pub(crate) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
    }
}

impl Reach {
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), NotAllowed> {
        let own = if self.own { self.settings.networks.clone() } else { Vec::new() };
        if (Networks { own, any: self.settings.danger_allow_private }).reaches(address) {
            return Ok(());
        }
        let way = if self.own { "; if it is meant, name its network in `egress.networks`" } else { "" };
        Err(NotAllowed(format!("the host leads to no public address{way}")))
    }

    /// The addresses of a name that may be dialled. The error is a [`NotAllowed`] where it has some, and all may not.
    pub(crate) async fn lookup(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, BoxError> {
        let mut refusal: BoxError = "the name has no address".into();
        let mut allowed = Vec::new();
        for address in self.limited_lookup(host, port).await? {
            match self.check(address.ip()) {
                Ok(()) => allowed.push(address),
                Err(reason) => refusal = reason.into(),
            }
        }
        if allowed.is_empty() { Err(refusal) } else { Ok(allowed) }
    }

    async fn limited_lookup(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, BoxError> {
        let permit = LOOKUPS.acquire().await?;
        let looking = self.names.look_up(host.to_owned(), port);
        // A task of its own: the permit is held for as long as the thread is.
        let looking = tokio::spawn(async move {
            let found = looking.await;
            drop(permit);
            found
        });
        Ok(looking.await??)
    }
}

impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.clone();
        Box::pin(async move {
            let allowed = reach.lookup(name.as_str(), 0).await?;
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}
