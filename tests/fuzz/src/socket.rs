//! Messages of a provider's event stream.

use jackfield_sdk::Socket;

use crate::account::authorized;
use crate::exports::About;
use crate::input::Parts;
use crate::provider::is_header;
use crate::twice;

pub(crate) fn ask<P: Socket>(about: &About, mut parts: Parts<'_>) {
    let (now, message) = (parts.number(), parts.text());
    drop(twice(|| P::read(&about.account, &message, now)));
    if let Ok(endpoint) = twice(|| P::locate(&about.account)) {
        assert!(endpoint.url.starts_with("ws://") || endpoint.url.starts_with("wss://"), "{}", endpoint.url);
        assert!(endpoint.headers.iter().all(|(name, value)| is_header(name, value)), "{:?}", endpoint.headers);
        authorized(&about.provider, &endpoint.authorization);
    }
}
