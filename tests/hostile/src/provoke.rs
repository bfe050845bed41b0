//! Gives hostile plugins the occasion.

use std::sync::Arc;

use jackfield_plugins::types::{Account, Action, Call, Direction, MediaCommand, Message, Request};
use jackfield_plugins::{Generation, GuestError};

use crate::Export;

fn account() -> Account {
    Account { id: "cfg".to_owned(), fields: vec![], secrets: vec![] }
}

fn call() -> Call {
    let direction = Direction::Inbound;
    let text = String::new;
    Call { id: text(), provider_id: text(), direction, from: text(), to: text(), memo: vec![], extra: vec![] }
}

fn request() -> Request {
    Request { method: "POST".to_owned(), url: "https://gw.example.net/".to_owned(), headers: vec![], body: vec![] }
}

/// Calls one export of a fresh guest, with next to nothing.
///
/// # Errors
/// What became of the guest.
pub fn provoke(generation: &Arc<Generation>, export: Export) -> Result<(), GuestError> {
    let webhooks = || generation.webhooks();
    let media = || generation.media();
    match export {
        Export::Check => generation.check(&account()).map(drop),
        Export::Identify => webhooks()?.identify(&request()).map(drop),
        Export::Authenticate => webhooks()?.authenticate(&account(), &request(), 0).map(drop),
        Export::Read => webhooks()?.read(&account(), &request(), "inbound").map(drop),
        Export::Reply => webhooks()?.reply(&account(), None, &Action::Acknowledge).map(drop),
        Export::Open => media()?.open(&account(), &call()).map(drop),
        Export::Decode => media()?.decode(&Message::Text(String::new())).map(drop),
        Export::Encode => media()?.encode(&MediaCommand::Clear).map(drop),
        Export::Describe => Ok(()),
    }
}

/// Those that are called while a plugin serves.
pub const EXPORTS: [Export; 8] = [
    Export::Check,
    Export::Identify,
    Export::Authenticate,
    Export::Read,
    Export::Reply,
    Export::Open,
    Export::Decode,
    Export::Encode,
];
