//! Orders to a provider, and its answers.

use jackfield_sdk::Calls;
use jackfield_sdk::types::{Call, ConferenceJoin, Direction, PlaceRequest, StreamAction, TransferDial, TransferStep};

use crate::exports::About;
use crate::input::{Parts, text};
use crate::provider::Api;
use crate::{twice, webhooks};

const HOOKS: &str = "https://gw.example.net/cb/{hook}/call_1";

/// Placing takes the first text for who is called, transfers for their step, and so on.
pub(crate) fn ask<P: Calls>(about: &About, mut parts: Parts<'_>) {
    let (function, call) = (parts.text(), parts.call());
    let (kind, said) = parts.kind();
    let said = text(said);
    let account = &about.account;
    match function.as_str() {
        "answer" => {
            let action = webhooks::action(kind, said, &mut parts);
            let call = call.unwrap_or_else(nobodys);
            drop(twice(|| P::answer(&Api::new(about, &parts), account, &call, &action)));
        }
        "transfer" => {
            let step = transfer(kind, said, &mut parts);
            let call = call.unwrap_or_else(nobodys);
            drop(twice(|| P::transfer(&Api::new(about, &parts), account, &call, &step)));
        }
        function => {
            let (optional, _) = (parts.optional(), parts.bytes());
            order::<P>(about, function, call, &said, optional.as_deref(), &parts);
        }
    }
}

fn order<P: Calls>(
    about: &About,
    function: &str,
    call: Option<Call>,
    said: &str,
    optional: Option<&str>,
    answers: &Parts<'_>,
) {
    let (account, api) = (&about.account, || Api::new(about, answers));
    let known = call.clone().unwrap_or_else(nobodys);
    let request = || place(known.clone());
    match function {
        "probe" => drop(twice(|| P::probe(&api(), account))),
        "place" => drop(twice(|| P::place(&api(), account, &request(), 1))),
        "find_placed" => drop(twice(|| P::find_placed(&api(), account, &request(), 1))),
        "proceed" => drop(twice(|| P::proceed(&api(), account, call.as_ref(), said))),
        "hang_up" => drop(twice(|| P::hang_up(&api(), account, &known))),
        "inspect" => drop(twice(|| P::inspect(&api(), account, &known))),
        "bind_number" => drop(twice(|| P::bind_number(&api(), account, said, optional))),
        "list_numbers" => drop(twice(|| P::list_numbers(&api(), account, optional))),
        _ => {}
    }
}

fn nobodys() -> Call {
    let [provider_id, from, to] = [const { String::new() }; 3];
    let (memo, extra) = (Vec::new(), Vec::new());
    Call { id: "call_1".to_owned(), provider_id, direction: Direction::Outbound, from, to, memo, extra }
}

fn place(call: Call) -> PlaceRequest {
    let url = "wss://gw.example.net/ws/token".to_owned();
    let stream = StreamAction { url, hooks: String::new(), parameters: Vec::new() };
    let hooks = HOOKS.to_owned();
    PlaceRequest { call, stream, hooks, ring_timeout: 30, max_duration: 3_600, extra: Vec::new() }
}

fn transfer(kind: u8, said: String, parts: &mut Parts<'_>) -> TransferStep {
    match kind {
        b'd' => TransferStep::Dial(TransferDial {
            transfer_id: "tr_1".to_owned(),
            to: said,
            from: parts.text(),
            conference: "jf-tr_1".to_owned(),
            announcement: parts.text(),
            ring_timeout: 30,
            hooks: HOOKS.to_owned(),
        }),
        b'j' => TransferStep::Join(ConferenceJoin {
            conference: "jf-tr_1".to_owned(),
            destination: said,
            extra: vec![("hooks".to_owned(), HOOKS.to_owned())],
        }),
        b'c' => TransferStep::Cancel(said),
        _ => TransferStep::Other(said),
    }
}
