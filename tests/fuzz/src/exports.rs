//! One plugin, and which of its exports an input asks.

use std::collections::BTreeMap;

use jackfield_sdk::types::{Account, Provider};
use jackfield_sdk::{Calls, Chat, Desk, Manifest, Media, Socket, Webhooks};

use crate::input::{self, Parts};
use crate::{account, calls, media, people, socket, twice, webhooks};

/// What all questions are about.
pub(crate) struct About {
    pub(crate) provider: Provider,
    pub(crate) account: Account,
}

type Ask = fn(&About, Parts<'_>);

/// The exports of one plugin, by the byte that an input begins with.
pub struct Exports {
    about: About,
    ask: BTreeMap<u8, Ask>,
}

impl Exports {
    /// Those that every plugin has; `account` is the account of its vectors.
    pub fn of<P: Manifest>(account: &str) -> Self {
        let provider = P::describe();
        let about = About { account: account::of_vectors(account, &provider), provider };
        Self { about, ask: BTreeMap::from([(b'a', check::<P> as Ask)]) }
    }

    /// Reads and answers webhooks too.
    #[must_use]
    pub fn webhooks<P: Webhooks>(self) -> Self {
        self.with(b'w', webhooks::take::<P>).with(b'r', webhooks::reply::<P>)
    }

    /// Makes REST calls too.
    #[must_use]
    pub fn calls<P: Calls>(self) -> Self {
        self.with(b'c', calls::ask::<P>)
    }

    /// Carries media too.
    #[must_use]
    pub fn media<P: Media>(self) -> Self {
        self.with(b'm', media::stream::<P>)
    }

    /// Keeps an event socket too.
    #[must_use]
    pub fn socket<P: Socket>(self) -> Self {
        self.with(b's', socket::ask::<P>)
    }

    /// Controls people's telephones too.
    #[must_use]
    pub fn desk<P: Desk>(self) -> Self {
        self.with(b'd', people::desk::<P>)
    }

    /// Reads and writes messages too.
    #[must_use]
    pub fn chat<P: Chat>(self) -> Self {
        self.with(b'h', people::chat::<P>)
    }

    fn with(mut self, kind: u8, ask: Ask) -> Self {
        self.ask.insert(kind, ask);
        self
    }

    /// Asks what the input says, and panics if a promise is broken.
    pub fn ask(&self, input: &[u8]) {
        let Some((kind, rest)) = input.split_first() else { return };
        if let Some(ask) = self.ask.get(kind) {
            ask(&self.about, Parts::of(rest));
        }
    }
}

fn check<P: Manifest>(about: &About, mut parts: Parts<'_>) {
    let account = Account { fields: input::pairs(&parts.text(), "="), ..about.account.clone() };
    for problem in twice(|| P::check(&account)) {
        let known = about.provider.fields.iter().any(|field| field.name == problem.field);
        assert!(known, "there is no field `{}`", problem.field);
        assert!(!problem.message.is_empty(), "a problem with `{}` and no word about it", problem.field);
    }
}
