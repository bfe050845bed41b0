//! Reads webhooks. They are answered with nothing.

use jackfield_sdk::Webhooks;
use jackfield_sdk::json::text;
use jackfield_sdk::reply::acknowledged;
use jackfield_sdk::request::header;
use jackfield_sdk::time::rfc3339;
use jackfield_sdk::types::{
    Account, Action, Call, DeskCall, DeskEvent, DeskState, Direction, Disproof, Event, Fault, Identity, MessageNotice,
    Proof, Request, Response,
};
use serde_json::Value;

use crate::{Webex, sign};

impl Webhooks for Webex {
    fn identify(request: &Request) -> Option<Identity> {
        let signed = header(request, sign::NEWER).or_else(|| header(request, sign::OLDER));
        signed.map(|_| Identity { account: None, called: None })
    }

    fn authenticate(account: &Account, request: &Request, _now: u64) -> Result<Proof, Disproof> {
        sign::authenticate(account, request)
    }

    fn read(_account: &Account, request: &Request, _hook: &str) -> Result<Vec<Event>, Fault> {
        let said: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let resource = text(&said["resource"]).ok_or_else(|| Fault::Malformed("a webhook of nothing".to_owned()))?;
        let data = &said["data"];
        Ok(vec![match (resource, text(&said["event"])) {
            ("messages", Some("created")) => match (text(&data["id"]), text(&data["personId"])) {
                (Some(id), Some(person)) => Event::Message(MessageNotice {
                    message_id: id.to_owned(),
                    person: person.to_owned(),
                    extra: Vec::new(),
                }),
                _ => return Err(Fault::Malformed("a message without its id".to_owned())),
            },
            ("telephony_calls", _) => {
                let person = text(&said["createdBy"]).or_else(|| text(&said["actorId"]));
                match (person, desk_call(data, "callId")) {
                    (Some(person), Some(call)) => Event::Desk(DeskEvent {
                        person: person.to_owned(),
                        call,
                        at: text(&data["eventTimestamp"]).and_then(rfc3339),
                        extra: Vec::new(),
                    }),
                    _ => return Err(Fault::Malformed("a call without its id, or of nobody".to_owned())),
                }
            }
            (other, _) => Event::Ignored(other.to_owned()),
        }])
    }

    fn reply(_account: &Account, _call: Option<&Call>, action: &Action) -> Result<Response, Fault> {
        match action {
            Action::Acknowledge => Ok(acknowledged()),
            _ => Err(Fault::Unsupported("Webex reads no answers".to_owned())),
        }
    }
}

/// A call as REST tells it, and webhooks, which name it otherwise.
pub(crate) fn desk_call(said: &Value, id: &str) -> Option<DeskCall> {
    let raw = text(&said["state"]).unwrap_or_default();
    let party = &said["remoteParty"];
    let shown = |member: &str| {
        let shown = text(&party[member]).filter(|_| party["privacyEnabled"] != true);
        shown.unwrap_or_default().to_owned()
    };
    Some(DeskCall {
        id: text(&said[id])?.to_owned(),
        direction: if said["personality"] == "terminator" { Direction::Inbound } else { Direction::Outbound },
        state: match raw {
            "connecting" => DeskState::Dialing,
            "alerting" => DeskState::Ringing,
            "connected" => DeskState::Connected,
            "held" | "remoteHeld" => DeskState::Held,
            "disconnected" => DeskState::Ended,
            _ => DeskState::Other,
        },
        raw: raw.to_owned(),
        name: shown("name"),
        number: shown("number"),
    })
}
