//! Reads Vonage's webhooks: JSON, or the query of a GET.

use jackfield_sdk::Webhooks;
use jackfield_sdk::event::{incoming, status_update};
use jackfield_sdk::form::Form;
use jackfield_sdk::json::{decimal, seconds, text, told};
use jackfield_sdk::number::{caller, canonical};
use jackfield_sdk::types::{
    Account, Action, Call, CallStatus, Disproof, Event, Fault, Identity, Incoming, Instructions, Money, Proof, Request,
    Response, StatusUpdate,
};
use serde_json::Value;

use crate::{Vonage, render, sign};

impl Webhooks for Vonage {
    fn identify(request: &Request) -> Option<Identity> {
        let token = sign::token(request).ok()?;
        let key = text(&token.claims["api_key"])?.to_owned();
        let said = said(request).unwrap_or_default();
        Some(Identity { account: Some(key), called: text(&said["to"]).map(canonical) })
    }

    fn authenticate(account: &Account, request: &Request, _now: u64) -> Result<Proof, Disproof> {
        sign::authenticate(account, request)
    }

    fn read(_account: &Account, request: &Request, hook: &str) -> Result<Vec<Event>, Fault> {
        let said = said(request).ok_or_else(|| Fault::Malformed("the webhook is not JSON".to_owned()))?;
        event(hook, &said).map(|event| vec![event])
    }

    fn reply(_account: &Account, _call: Option<&Call>, action: &Action) -> Result<Response, Fault> {
        render::answer(action)
    }
}

/// What a webhook says, wherever it says it.
fn said(request: &Request) -> Option<Value> {
    if request.method != "GET" {
        return serde_json::from_slice(&request.body).ok().filter(Value::is_object);
    }
    Some(Form::of(request).pairs().map(|(name, value)| (name.to_owned(), Value::from(value))).collect())
}

fn event(hook: &str, said: &Value) -> Result<Event, Fault> {
    // The socket is a leg of its own with events of its own, to the same place.
    if text(&said["to"]).is_some_and(|to| to.starts_with("ws")) {
        return Ok(Event::Ignored("an event of the media socket".to_owned()));
    }
    let id = text(&said["uuid"]).or(text(&said["call_uuid"]));
    match (hook, text(&said["status"]), id) {
        (_, Some(raw), Some(id)) => Ok(Event::Status(standing(id, raw, said))),
        (_, None, _) if text(&said["reason"]).is_some() => Ok(Event::Ignored("an error of the application".to_owned())),
        (_, _, None) => Err(Fault::Malformed("uuid is missing".to_owned())),
        ("inbound", None, Some(id)) => Ok(Event::Incoming(told_of(id, said))),
        ("answer", None, Some(id)) => {
            Ok(Event::Instructions(Instructions { provider_id: id.to_owned(), answered_by: None, extra: Vec::new() }))
        }
        (_, None, Some(_)) => Ok(Event::Ignored("no status".to_owned())),
    }
}

fn told_of(id: &str, said: &Value) -> Incoming {
    let word = |name: &str| text(&said[name]).unwrap_or_default();
    Incoming {
        // Where this call's orders go: a call lives in one data centre.
        memo: word("region_url").as_bytes().to_vec(),
        extra: told(said, &["conversation_uuid", "from_user", "endpoint_type"]),
        ..incoming(id, caller(word("from"), canonical), canonical(word("to")))
    }
}

fn standing(id: &str, raw: &str, said: &Value) -> StatusUpdate {
    let amount = decimal(&said["price"]);
    StatusUpdate {
        duration: seconds(&said["duration"]),
        cost: amount.map(|amount| Money { amount, currency: "EUR".to_owned() }),
        cause: text(&said["detail"]).map(str::to_owned),
        answered_by: matches!(raw, "human" | "machine").then(|| raw.to_owned()),
        extra: told(said, &["disconnected_by", "sub_state"]),
        ..status_update(id, status(raw), raw)
    }
}

/// Vonage's word for where a call stands. `disconnected` is the socket's end and not the call's.
pub(crate) fn status(raw: &str) -> CallStatus {
    match raw {
        "started" => CallStatus::Initiated,
        "ringing" => CallStatus::Ringing,
        "answered" | "human" | "machine" => CallStatus::InProgress,
        "completed" | "complete" => CallStatus::Completed,
        "busy" => CallStatus::Busy,
        "timeout" | "unanswered" => CallStatus::NoAnswer,
        "cancelled" => CallStatus::Canceled,
        "failed" | "rejected" => CallStatus::Failed,
        other => CallStatus::Other(other.to_owned()),
    }
}
