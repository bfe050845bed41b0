//! Reads Plivo's webhooks.

use jackfield_sdk::form::Form;
use jackfield_sdk::json::decimal;
use jackfield_sdk::number::canonical;
use jackfield_sdk::request::header;
use jackfield_sdk::types::{
    Account, Action, Call, CallStatus, Disproof, Event, Fault, Identity, Incoming, Instructions, Money, Proof, Request,
    Response, StatusUpdate, StreamUpdate,
};
use jackfield_sdk::{Webhooks, play_xml};

use crate::{Plivo, sign};

impl Webhooks for Plivo {
    fn identify(request: &Request) -> Option<Identity> {
        let form = Form::of(request);
        if !recognised(request) || call_id(&form).is_none() {
            return None;
        }
        let account = form.get("AuthID").or(form.get("ParentAuthID"));
        Some(Identity { account: account.map(str::to_owned), called: form.get("To").map(canonical) })
    }

    fn authenticate(account: &Account, request: &Request, _now: u64) -> Result<Proof, Disproof> {
        sign::authenticate(account, request)
    }

    fn read(_account: &Account, request: &Request, hook: &str) -> Result<Vec<Event>, Fault> {
        let form = Form::of(request);
        let call = call_id(&form).ok_or_else(|| Fault::Malformed("CallUUID is missing".to_owned()))?.to_owned();
        event(hook, call, &form).map(|event| vec![event])
    }

    fn reply(_account: &Account, _call: Option<&Call>, action: &Action) -> Result<Response, Fault> {
        play_xml::answer(action, "")
    }
}

fn recognised(request: &Request) -> bool {
    let headers = ["v3", "ma-v3", "v2", "ma-v2"].map(|kind| format!("x-plivo-signature-{kind}"));
    headers.iter().any(|name| header(request, name).is_some())
}

/// An outbound call is known by the name its order got, which a callback repeats; others by their own.
fn call_id(form: &Form) -> Option<&str> {
    let order = form.get("RequestUUID").filter(|_| form.get("Direction") == Some("outbound"));
    order.or(form.get("CallUUID")).or(form.get("RequestUUID"))
}

fn event(hook: &str, call: String, form: &Form) -> Result<Event, Fault> {
    let kind = form.get("Event").unwrap_or_default();
    // The names that the documentation and the wire have for what a stream does.
    if hook == "stream" || kind.ends_with("Stream") || kind == "ClearedAudio" {
        let what = kind.to_owned();
        return Ok(Event::Stream(StreamUpdate { provider_id: call, what, extra: told(form, &["StreamID", "Reason"]) }));
    }
    let raw = form.get("CallStatus").unwrap_or_default();
    let over = kind == "Hangup" || is_end(&status(raw, form));
    Ok(match hook {
        "inbound" if !over && kind != "Ring" => Event::Incoming(incoming(call, form)?),
        "answer" if !over => {
            Event::Instructions(Instructions { provider_id: call, answered_by: None, extra: Vec::new() })
        }
        _ if raw.is_empty() && kind.is_empty() => Event::Ignored("no CallStatus".to_owned()),
        _ => Event::Status(status_update(call, raw, form)),
    })
}

fn is_end(status: &CallStatus) -> bool {
    use CallStatus::{Busy, Canceled, Completed, Failed, NoAnswer};
    matches!(status, Completed | Busy | NoAnswer | Failed | Canceled)
}

fn incoming(provider_id: String, form: &Form) -> Result<Incoming, Fault> {
    let direction = form.get("Direction").unwrap_or("inbound");
    if direction != "inbound" {
        return Err(Fault::Malformed(format!("Direction is {direction}, not inbound")));
    }
    Ok(Incoming {
        provider_id,
        from: caller(form.get("From").unwrap_or_default()),
        to: canonical(form.get("To").unwrap_or_default()),
        from_country: String::new(),
        to_country: String::new(),
        caller_name: form.get("CallerName").unwrap_or_default().to_owned(),
        memo: Vec::new(),
        extra: told(form, &["ForwardedFrom", "StirVerification", "STIRAttestation", "STIRVerification"]),
    })
}

fn caller(raw: &str) -> String {
    let word = raw.trim().to_ascii_lowercase();
    let withheld = matches!(word.as_str(), "" | "anonymous" | "restricted" | "unknown" | "unavailable" | "private");
    if withheld { "anonymous".to_owned() } else { canonical(raw) }
}

/// The fields of these names that say something.
fn told(form: &Form, names: &[&str]) -> Vec<(String, String)> {
    let says = |(name, value): &&(String, String)| names.contains(&name.as_str()) && !value.is_empty();
    form.pairs().iter().filter(says).cloned().collect()
}

fn status_update(provider_id: String, raw: &str, form: &Form) -> StatusUpdate {
    let raw = if raw.is_empty() { form.get("Event").unwrap_or_default() } else { raw };
    let amount = form.get("TotalCost").and_then(|cost| decimal(&cost.into()));
    StatusUpdate {
        provider_id,
        status: status(raw, form),
        raw: raw.to_owned(),
        duration: form.get("Duration").and_then(|seconds| seconds.parse().ok()),
        // The account's currency is not said here; `inspect` asks for it.
        cost: amount.map(|amount| Money { amount, currency: String::new() }),
        cause: form.get("HangupCause").map(str::to_owned),
        answered_by: None,
        sequence: None,
        at: None,
        extra: told(form, &["BillDuration", "HangupCauseCode", "HangupCauseName", "HangupSource"]),
    }
}

/// Plivo's word for where a call stands. An end that is called `completed` or nothing is refined by its code.
pub(crate) fn status(raw: &str, form: &Form) -> CallStatus {
    match raw.to_ascii_lowercase().as_str() {
        "queued" => CallStatus::Initiated,
        "ring" | "ringing" => CallStatus::Ringing,
        "in-progress" => CallStatus::InProgress,
        "completed" | "hangup" => refined(form.get("HangupCauseCode").unwrap_or_default()),
        "busy" => CallStatus::Busy,
        "no-answer" | "timeout" => CallStatus::NoAnswer,
        "cancel" | "cancelled" | "canceled" => CallStatus::Canceled,
        "failed" | "rejected" => CallStatus::Failed,
        _ => CallStatus::Other(raw.to_owned()),
    }
}

fn refined(code: &str) -> CallStatus {
    match code {
        "3010" | "3100" | "3020" | "3110" => CallStatus::Busy,
        "3000" | "6010" => CallStatus::NoAnswer,
        "1000" | "9000" => CallStatus::Canceled,
        _ => CallStatus::Completed,
    }
}
