//! Orders to people's telephones and messages to people, with the provider's answers.

use jackfield_sdk::types::Order;
use jackfield_sdk::{Chat, Desk};

use crate::exports::About;
use crate::input::{Parts, text};
use crate::provider::Api;
use crate::twice;

pub(crate) fn desk<P: Desk>(about: &About, mut parts: Parts<'_>) {
    let (function, person) = (parts.text(), parts.text());
    let (kind, said) = parts.kind();
    let (account, api, person) = (&about.account, || Api::new(about, &parts), person.as_str());
    match function.as_str() {
        "calls" => drop(twice(|| P::calls(&api(), account, person))),
        "history" => drop(twice(|| P::history(&api(), account, person))),
        "carry_out" => {
            let order = order(kind, text(said));
            drop(twice(|| P::carry_out(&api(), account, person, &order)));
        }
        "watch" => {
            let url = (kind == b'u').then(|| text(said));
            drop(twice(|| P::watch(&api(), account, person, url.as_deref())));
        }
        _ => {}
    }
}

fn order(kind: u8, said: String) -> Order {
    match kind {
        b'd' => Order::Dial(said),
        b'a' => Order::Answer(said),
        b'e' => Order::HangUp(said),
        b'r' => Order::Reject(said),
        b'h' => Order::Hold(said),
        b'c' => Order::Resume(said),
        _ => Order::Other(said),
    }
}

pub(crate) fn chat<P: Chat>(about: &About, mut parts: Parts<'_>) {
    let (function, first, second) = (parts.text(), parts.text(), parts.text());
    let (account, api) = (&about.account, || Api::new(about, &parts));
    match function.as_str() {
        "fetch" => drop(twice(|| P::fetch(&api(), account, &first))),
        "send" => drop(twice(|| P::send(&api(), account, &first, &second))),
        "listen" => drop(twice(|| P::listen(&api(), account, &first))),
        _ => {}
    }
}
