//! Reads Cloudonix's webhooks: JSON, or the query of a GET.

use jackfield_sdk::Webhooks;
use jackfield_sdk::event::{incoming, is_end, status_update};
use jackfield_sdk::form::Form;
use jackfield_sdk::json::{decimal, number, seconds, text, told};
use jackfield_sdk::number::{caller, canonical};
use jackfield_sdk::request::header;
use jackfield_sdk::types::{
    Account, Action, Call, CallStatus, Disproof, Event, Fault, Identity, Incoming, Money, Proof, Request, Response,
    StatusUpdate,
};
use serde_json::Value;

use crate::config::domain;
use crate::{Cloudonix, render, sign};

impl Webhooks for Cloudonix {
    fn identify(request: &Request) -> Option<Identity> {
        let said = said(request).unwrap_or_default();
        let named = ["Domain", "AccountSid", "domain"].into_iter().find_map(|name| text(&said[name]));
        let named = named.or(header(request, "x-cx-domain"));
        if !recognised(request, named.unwrap_or_default()) {
            return None;
        }
        Some(Identity { account: named.map(domain), called: text(&said["To"]).map(canonical) })
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

/// Twilio's requests are signed and name an account without a dot: they are none of these.
fn recognised(request: &Request, named: &str) -> bool {
    let agent = header(request, "user-agent").unwrap_or_default().to_ascii_lowercase();
    let headers = ["x-cx-apikey", "x-cx-domain", "x-cx-session", "x-cx-source"];
    agent.contains("cloudonix")
        || headers.iter().any(|name| header(request, name).is_some())
        || domain(named).ends_with(".cloudonix.net")
}

/// What a webhook says, wherever it says it. An update may come as a list of one.
pub(crate) fn said(request: &Request) -> Option<Value> {
    if request.method == "GET" {
        return Some(Form::of(request).pairs().map(|(name, value)| (name.to_owned(), Value::from(value))).collect());
    }
    let said: Value = serde_json::from_slice(&request.body).ok()?;
    match said {
        Value::Array(mut items) if items.len() == 1 => items.pop().filter(Value::is_object),
        said => Some(said).filter(Value::is_object),
    }
}

/// Prefers the session's name: `CallSid` may be something of the SIP leg's.
fn call_id(said: &Value) -> Option<&str> {
    let names =
        [&said["Session"], &said["SessionData"]["token"], &said["session"]["token"], &said["token"], &said["CallSid"]];
    names.into_iter().find_map(text)
}

fn event(hook: &str, said: &Value) -> Result<Event, Fault> {
    let id = call_id(said).ok_or_else(|| Fault::Malformed("the webhook names no session".to_owned()))?;
    if let Some(disposition) = text(&said["disposition"]) {
        return Ok(Event::Status(standing(id, disposition, settled(disposition), said)));
    }
    if let Some(raw) = text(&said["status"]) {
        return Ok(Event::Status(standing(id, raw, status(raw), said)));
    }
    let raw = text(&said["CallStatus"]).unwrap_or_default();
    match hook {
        "inbound" if !is_end(&status(raw)) => told_of(id, said).map(Event::Incoming),
        _ if raw.is_empty() => Ok(Event::Ignored("no status".to_owned())),
        _ => Ok(Event::Status(standing(id, raw, status(raw), said))),
    }
}

fn told_of(id: &str, said: &Value) -> Result<Incoming, Fault> {
    let word = |name: &str| text(&said[name]).unwrap_or_default();
    // A subscriber's call to us is inbound too.
    if !matches!(word("Direction"), "" | "inbound" | "subscriber") {
        return Err(Fault::Malformed(format!("Direction is {}, not inbound", word("Direction"))));
    }
    Ok(Incoming {
        from_country: word("FromCountry").to_owned(),
        to_country: word("ToCountry").to_owned(),
        caller_name: word("CallerName").to_owned(),
        extra: told(said, &["Diverted", "AssertedIdentity", "CallSid"]),
        ..incoming(id, caller(word("From"), canonical), canonical(word("To")))
    })
}

fn standing(id: &str, raw: &str, status: CallStatus, said: &Value) -> StatusUpdate {
    let amount = ["rated_cost", "sell_cost"].into_iter().find_map(|name| decimal(&said[name]));
    StatusUpdate {
        duration: seconds(&said["billsec"]).or_else(|| seconds(&said["duration"])),
        cost: amount.map(|amount| Money { amount, currency: String::new() }),
        cause: text(&said["reason"]).map(str::to_owned),
        // Rises with each event of a session.
        sequence: number(&said["eventId"]),
        at: number(&said["modifiedAt"]),
        ..status_update(id, status, raw)
    }
}

/// Cloudonix's word for where a session stands, in any case.
pub(crate) fn status(raw: &str) -> CallStatus {
    match raw.to_ascii_lowercase().as_str() {
        "new" | "processing" | "queued" => CallStatus::Initiated,
        "ringing" => CallStatus::Ringing,
        "connected" | "answer" | "answered" | "in-progress" => CallStatus::InProgress,
        "completed" | "hangup" => CallStatus::Completed,
        "busy" => CallStatus::Busy,
        "noanswer" | "no-answer" => CallStatus::NoAnswer,
        "cancel" | "canceled" | "cancelled" => CallStatus::Canceled,
        "nocredit" | "congestion" | "failed" => CallStatus::Failed,
        _ => CallStatus::Other(raw.to_owned()),
    }
}

/// How a record of a call says that it ended: there `ANSWER` is the end of a call that was answered.
fn settled(disposition: &str) -> CallStatus {
    match disposition.to_ascii_uppercase().as_str() {
        "ANSWER" | "ANSWERED" => CallStatus::Completed,
        "CHANUNAVAIL" => CallStatus::Failed,
        _ => status(disposition),
    }
}
