//! Reads Telnyx's webhooks. What they are answered with is not looked at.

use jackfield_sdk::Webhooks;
use jackfield_sdk::event::{incoming, status_update};
use jackfield_sdk::json::{decimal, seconds, text, told};
use jackfield_sdk::number::{caller, canonical};
use jackfield_sdk::reply::acknowledged;
use jackfield_sdk::request::header;
use jackfield_sdk::types::{
    Account, Action, Call, CallStatus, Disproof, Event, Fault, Identity, Incoming, Money, Proof, Request, Response,
    StatusUpdate, StreamUpdate,
};
use serde_json::Value;

use crate::{Telnyx, sign};

impl Webhooks for Telnyx {
    fn identify(request: &Request) -> Option<Identity> {
        let said = said(request).unwrap_or_default();
        let kind = text(&said["data"]["event_type"]).unwrap_or_default();
        let envelope = said["data"]["record_type"] == "event" && kind.starts_with("call");
        if header(request, sign::SIGNATURE).is_none() && !envelope {
            return None;
        }
        let payload = &said["data"]["payload"];
        let account = text(&payload["connection_id"]).map(str::to_owned);
        Some(Identity { account, called: text(&payload["to"]).map(canonical) })
    }

    fn authenticate(account: &Account, request: &Request, _now: u64) -> Result<Proof, Disproof> {
        sign::authenticate(account, request)
    }

    fn read(_account: &Account, request: &Request, _hook: &str) -> Result<Vec<Event>, Fault> {
        let said = said(request).ok_or_else(|| Fault::Malformed("the webhook is not JSON".to_owned()))?;
        event(&said["data"]).map(|event| vec![event])
    }

    fn reply(_account: &Account, _call: Option<&Call>, action: &Action) -> Result<Response, Fault> {
        match action {
            Action::Acknowledge => Ok(acknowledged()),
            _ => Err(Fault::Unsupported("Telnyx reads no answers: use a command".to_owned())),
        }
    }
}

/// The JSON of a webhook.
pub(crate) fn said(request: &Request) -> Option<Value> {
    serde_json::from_slice(&request.body).ok().filter(Value::is_object)
}

fn event(data: &Value) -> Result<Event, Fault> {
    let payload = &data["payload"];
    // Some come with `_` for `.`, and no name has both.
    let kind = text(&data["event_type"]).unwrap_or_default().replace('_', ".");
    let Some(id) = text(&payload["call_control_id"]) else {
        return match kind.as_str() {
            "" => Err(Fault::Malformed("the webhook has no event".to_owned())),
            _ => Ok(Event::Ignored(kind)),
        };
    };
    Ok(match kind.as_str() {
        "call.initiated" if payload["direction"] == "incoming" => Event::Incoming(told_of(id, payload)),
        "call.initiated" => standing(id, CallStatus::Initiated, &kind, payload),
        "call.ringing" | "call.bridging" => standing(id, CallStatus::Ringing, &kind, payload),
        "call.answered" | "call.bridged" => standing(id, CallStatus::InProgress, &kind, payload),
        "call.hangup" => {
            let cause = text(&payload["hangup_cause"]).unwrap_or("unspecified");
            standing(id, ended(cause, payload), cause, payload)
        }
        "call.cost" | "call.machine.detection.ended" | "call.machine.premium.detection.ended" => {
            standing(id, CallStatus::Other(kind.clone()), &kind, payload)
        }
        "streaming.started" | "streaming.stopped" | "streaming.failed" => Event::Stream(StreamUpdate {
            provider_id: id.to_owned(),
            what: kind,
            extra: told(payload, &["stream_id", "failure_reason"]),
        }),
        _ => Event::Ignored(kind),
    })
}

fn told_of(id: &str, payload: &Value) -> Incoming {
    let word = |name: &str| text(&payload[name]).unwrap_or_default();
    Incoming {
        caller_name: word("caller_id_name").to_owned(),
        extra: told(payload, &["call_session_id", "call_leg_id", "shaken_stir_attestation"]),
        ..incoming(id, caller(word("from"), canonical), canonical(word("to")))
    }
}

fn standing(id: &str, status: CallStatus, raw: &str, payload: &Value) -> Event {
    let amount = decimal(&payload["total_cost"]);
    let currency = text(&payload["cost_parts"][0]["currency"]).unwrap_or("USD");
    Event::Status(StatusUpdate {
        // What a hangup lasted is not told; what was billed is, with the cost.
        duration: seconds(&payload["billed_duration_secs"]),
        cost: amount.map(|amount| Money { amount, currency: currency.to_owned() }),
        cause: text(&payload["sip_hangup_cause"]).map(str::to_owned),
        answered_by: text(&payload["result"]).map(str::to_owned),
        extra: told(payload, &["hangup_source"]),
        ..status_update(id, status, raw)
    })
}

/// Telnyx's word for why a call ended, the older ones included. A vague one is refined by SIP's number.
fn ended(cause: &str, payload: &Value) -> CallStatus {
    match cause {
        "normal_clearing" | "time_limit" => CallStatus::Completed,
        "user_busy" | "busy" => CallStatus::Busy,
        "no_answer" | "timeout" => CallStatus::NoAnswer,
        "originator_cancel" => CallStatus::Canceled,
        "call_rejected" | "not_found" | "unallocated_number" => CallStatus::Failed,
        _ => match text(&payload["sip_hangup_cause"]).unwrap_or_default() {
            "486" | "600" => CallStatus::Busy,
            "408" | "480" => CallStatus::NoAnswer,
            "487" => CallStatus::Canceled,
            "200" => CallStatus::Completed,
            _ => CallStatus::Failed,
        },
    }
}
