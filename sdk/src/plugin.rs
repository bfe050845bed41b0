//! A trait for each interface of the contract.

use crate::http::Http;
use crate::types::{
    Account, Action, Binding, Call, ChatMessage, DeskCall, Disproof, Endpoint, Event, Fault, FieldProblem,
    HistoryEntry, Identity, Inspection, MediaCommand, MediaEvent, Message, NumberPage, Order, PlaceRequest, Placed,
    Proof, Provider, Request, Response, StreamSetup, TransferProgress, TransferStep,
};

/// What the plugin is. Every plugin has it.
pub trait Manifest {
    /// Name, fields, abilities, hosts, media format.
    fn describe() -> Provider;

    /// Looks at an account without IO. Required fields are there already.
    fn check(_account: &Account) -> Vec<FieldProblem> {
        Vec::new()
    }
}

/// Reads what the provider posts and writes what it wants to hear.
pub trait Webhooks {
    /// Is it ours, whose account, which number? Not yet believed.
    fn identify(request: &Request) -> Option<Identity>;

    /// What would make it genuine. `now` in Unix milliseconds.
    ///
    /// # Errors
    /// When there is no signature, or one that cannot be right.
    fn authenticate(account: &Account, request: &Request, now: u64) -> Result<Proof, Disproof>;

    /// Reads a request whose proof held.
    ///
    /// # Errors
    /// When the provider breaks its own protocol.
    fn read(account: &Account, request: &Request, hook: &str) -> Result<Vec<Event>, Fault>;

    /// Writes the answer.
    ///
    /// # Errors
    /// When this provider has no words for the action.
    fn reply(account: &Account, call: Option<&Call>, action: &Action) -> Result<Response, Fault>;
}

fn unsupported<T>(what: &str) -> Result<T, Fault> {
    Err(Fault::Unsupported(format!("this provider's plugin cannot {what}")))
}

/// The provider's REST calls. Whatever a provider lacks is left to the default, which says so.
pub trait Calls {
    /// Do the credentials work?
    ///
    /// # Errors
    /// The provider's refusal.
    fn probe(_http: &dyn Http, _account: &Account) -> Result<(), Fault> {
        unsupported("check credentials")
    }

    /// Dials. `now` in Unix milliseconds.
    ///
    /// # Errors
    /// The provider's refusal, or an unknown outcome.
    fn place(_http: &dyn Http, _account: &Account, _request: &PlaceRequest, _now: u64) -> Result<Placed, Fault> {
        unsupported("place calls")
    }

    /// After a place with unknown outcome: the call it made since `since` (Unix milliseconds), if it made one.
    ///
    /// # Errors
    /// When the provider can't be asked.
    fn find_placed(
        _http: &dyn Http,
        _account: &Account,
        _request: &PlaceRequest,
        _since: u64,
    ) -> Result<Option<Placed>, Fault> {
        unsupported("look for a call")
    }

    /// For providers that are driven by commands.
    ///
    /// # Errors
    /// The provider's refusal.
    fn answer(_http: &dyn Http, _account: &Account, _call: &Call, _action: &Action) -> Result<(), Fault> {
        unsupported("answer by command")
    }

    /// Carries out a step that an event asked for, or `opened`: the event socket is open.
    ///
    /// # Errors
    /// The provider's refusal.
    fn proceed(_http: &dyn Http, _account: &Account, _call: Option<&Call>, _step: &str) -> Result<(), Fault> {
        unsupported("carry out steps")
    }

    /// Succeeds when the call is over, whoever ended it.
    ///
    /// # Errors
    /// When the call may still be up.
    fn hang_up(_http: &dyn Http, _account: &Account, _call: &Call) -> Result<(), Fault> {
        unsupported("hang up")
    }

    /// Status, duration and cost.
    ///
    /// # Errors
    /// When the provider can't be asked.
    fn inspect(_http: &dyn Http, _account: &Account, _call: &Call) -> Result<Inspection, Fault> {
        unsupported("inspect calls")
    }

    /// One step of a transfer.
    ///
    /// # Errors
    /// The provider's refusal.
    fn transfer(
        _http: &dyn Http,
        _account: &Account,
        _call: &Call,
        _step: &TransferStep,
    ) -> Result<TransferProgress, Fault> {
        unsupported("transfer calls")
    }

    /// Points a number at a webhook, or away from it.
    ///
    /// # Errors
    /// The provider's refusal.
    fn bind_number(
        _http: &dyn Http,
        _account: &Account,
        _number: &str,
        _webhook: Option<&str>,
    ) -> Result<Binding, Fault> {
        unsupported("bind numbers")
    }

    /// The account's numbers, a page at a time.
    ///
    /// # Errors
    /// The provider's refusal.
    fn list_numbers(_http: &dyn Http, _account: &Account, _cursor: Option<&str>) -> Result<NumberPage, Fault> {
        unsupported("list numbers")
    }
}

/// Controls people's own telephones. `person` is who has signed in.
pub trait Desk {
    /// The person's calls.
    ///
    /// # Errors
    /// The provider's refusal.
    fn calls(http: &dyn Http, account: &Account, person: &str) -> Result<Vec<DeskCall>, Fault>;

    /// The person's last calls, the newest first.
    ///
    /// # Errors
    /// The provider's refusal.
    fn history(http: &dyn Http, account: &Account, person: &str) -> Result<Vec<HistoryEntry>, Fault>;

    /// Gives the id of a call that was dialled.
    ///
    /// # Errors
    /// The provider's refusal, or an unknown outcome.
    fn carry_out(http: &dyn Http, account: &Account, person: &str, order: &Order) -> Result<Option<String>, Fault>;

    /// Has what happens on the person's telephone posted to `url`, or no longer.
    ///
    /// # Errors
    /// The provider's refusal.
    fn watch(http: &dyn Http, account: &Account, person: &str, url: Option<&str>) -> Result<(), Fault>;
}

/// Messages between people and the account.
pub trait Chat {
    /// A message; none for one of the account's own.
    ///
    /// # Errors
    /// The provider's refusal.
    fn fetch(http: &dyn Http, account: &Account, id: &str) -> Result<Option<ChatMessage>, Fault>;

    /// Writes to a person.
    ///
    /// # Errors
    /// The provider's refusal.
    fn send(http: &dyn Http, account: &Account, person: &str, text: &str) -> Result<(), Fault>;

    /// Has messages to the account posted to `url`.
    ///
    /// # Errors
    /// The provider's refusal.
    fn listen(http: &dyn Http, account: &Account, url: &str) -> Result<(), Fault>;
}

/// Says where a provider's event stream is, and reads it.
pub trait Socket {
    /// Where to connect, and how to prove who does.
    ///
    /// # Errors
    /// When the account cannot work.
    fn locate(account: &Account) -> Result<Endpoint, Fault>;

    /// Reads one message. `now` in Unix milliseconds.
    ///
    /// # Errors
    /// When it is none of this provider's, and `refused` when the provider took the stream away for good.
    fn read(account: &Account, message: &str, now: u64) -> Result<Vec<Event>, Fault>;
}

/// Translates one media stream. A value is one stream.
pub trait Media: Default {
    /// What to expect and send until the stream says otherwise.
    ///
    /// # Errors
    /// When the account cannot carry media.
    fn open(&mut self, account: &Account, call: &Call) -> Result<StreamSetup, Fault>;

    /// Reads one message of the provider.
    ///
    /// # Errors
    /// When it is not one: the host drops it and counts it, and the stream goes on.
    fn decode(&mut self, message: Message) -> Result<Vec<MediaEvent>, Fault>;

    /// Writes one. No messages when the provider cannot be told.
    ///
    /// # Errors
    /// When the stream is not open yet.
    fn encode(&mut self, command: MediaCommand) -> Result<Vec<Message>, Fault>;
}
