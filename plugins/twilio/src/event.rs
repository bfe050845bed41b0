//! Reads Twilio's webhooks.

use jackfield_sdk::form::Form;
use jackfield_sdk::number::{caller, canonical};
use jackfield_sdk::request::header;
use jackfield_sdk::time::rfc2822;
use jackfield_sdk::types::{
    Account, Action, Call, CallStatus, Disproof, Event, Fault, Identity, Incoming, Instructions, Proof, Request,
    Response, StatusUpdate, StreamUpdate,
};
use jackfield_sdk::{Webhooks, account, event};

use crate::config::{ACCOUNT_SID, is_sid};
use crate::{Twilio, render, sign};

impl Webhooks for Twilio {
    fn identify(request: &Request) -> Option<Identity> {
        let form = Form::of(request);
        let account = form.get("AccountSid");
        // A dot makes it a domain name, as in Cloudonix' dialect of this protocol.
        if account.is_some_and(|sid| sid.contains('.')) || !recognised(request, &form) {
            return None;
        }
        Some(Identity { account: account.map(str::to_owned), called: form.get("To").map(canonical) })
    }

    fn authenticate(account: &Account, request: &Request, _now: u64) -> Result<Proof, Disproof> {
        sign::authenticate(account, request)
    }

    fn read(account: &Account, request: &Request, hook: &str) -> Result<Vec<Event>, Fault> {
        let form = Form::of(request);
        let sid = form.get("AccountSid").unwrap_or_default();
        if sid != account::required(account, ACCOUNT_SID)? {
            return Err(Fault::Malformed("AccountSid is not this account's".to_owned()));
        }
        let call = form.get("CallSid").ok_or_else(|| Fault::Malformed("CallSid is missing".to_owned()))?;
        said(hook, call, &form).map(|event| vec![event])
    }

    fn reply(_account: &Account, _call: Option<&Call>, action: &Action) -> Result<Response, Fault> {
        render::answer(action)
    }
}

/// Hints only: what proves anything is the signature.
fn recognised(request: &Request, form: &Form) -> bool {
    let agent = || header(request, "user-agent").unwrap_or_default().to_ascii_lowercase();
    let headers = ["x-twilio-signature", "i-twilio-idempotency-token", "x-home-region"];
    headers.iter().any(|name| header(request, name).is_some())
        || agent().contains("twilioproxy")
        || (form.get("CallSid").is_some()
            && form.get("ApiVersion").is_some()
            && form.get("AccountSid").is_some_and(|sid| is_sid(sid, "AC")))
}

fn said(hook: &str, call: &str, form: &Form) -> Result<Event, Fault> {
    if form.get("StreamEvent").is_some() {
        return Ok(Event::Stream(stream_update(call, form)));
    }
    Ok(match hook {
        "inbound" if is_new(form) => Event::Incoming(incoming(call, form)?),
        "answer" => Event::Instructions(Instructions {
            provider_id: call.to_owned(),
            answered_by: form.get("AnsweredBy").map(str::to_owned),
            extra: Vec::new(),
        }),
        "amd" => Event::Status(status_update(call, CallStatus::Other("amd".to_owned()), "amd", form)),
        _ => match form.get("CallStatus") {
            Some(raw) => Event::Status(status_update(call, status(raw), raw, form)),
            None => Event::Ignored("no CallStatus".to_owned()),
        },
    })
}

/// A number's own status callback comes to the same URL as its calls.
fn is_new(form: &Form) -> bool {
    let over = form.get("CallStatus").is_some_and(|raw| ENDS.contains(&raw));
    form.get("CallbackSource").is_none() && !over
}

const ENDS: [&str; 5] = ["completed", "busy", "no-answer", "failed", "canceled"];

fn incoming(call: &str, form: &Form) -> Result<Incoming, Fault> {
    let direction = form.get("Direction").unwrap_or("inbound");
    if direction != "inbound" {
        return Err(Fault::Malformed(format!("Direction is {direction}, not inbound")));
    }
    let text = |names: [&str; 2]| names.into_iter().find_map(|name| form.get(name)).unwrap_or_default().to_owned();
    let from = text(["From", "Caller"]);
    let from = if WITHHELD.contains(&from.trim()) { String::new() } else { from };
    Ok(Incoming {
        from_country: text(["FromCountry", "CallerCountry"]),
        to_country: text(["ToCountry", "CalledCountry"]),
        caller_name: form.get("CallerName").unwrap_or_default().to_owned(),
        extra: form.told(|name| {
            matches!(name, "StirVerstat" | "ForwardedFrom" | "ParentCallSid" | "SipDomain")
                || name.starts_with("SipHeader_")
        }),
        ..event::incoming(call, caller(&from, canonical), canonical(&text(["To", "Called"])))
    })
}

/// Twilio spells a withheld number in letters on a keypad. UNVERIFIED which of them are still sent.
const WITHHELD: [&str; 4] = ["+266696687", "+7378742833", "+2562533", "+8656696"];

fn status_update(call: &str, status: CallStatus, raw: &str, form: &Form) -> StatusUpdate {
    StatusUpdate {
        // `Duration` is billed minutes, and no talk time.
        duration: form.get("CallDuration").and_then(|seconds| seconds.parse().ok()),
        cause: form.get("SipResponseCode").map(str::to_owned),
        answered_by: form.get("AnsweredBy").map(str::to_owned),
        sequence: form.get("SequenceNumber").and_then(|number| number.parse().ok()),
        at: form.get("Timestamp").and_then(rfc2822),
        extra: form.told(|name| {
            matches!(name, "Duration" | "ErrorCode" | "ErrorMessage" | "MachineDetectionDuration" | "ParentCallSid")
        }),
        ..event::status_update(call, status, raw)
    }
}

/// Twilio's word for where a call stands.
pub(crate) fn status(raw: &str) -> CallStatus {
    match raw {
        "queued" | "initiated" => CallStatus::Initiated,
        "ringing" => CallStatus::Ringing,
        "in-progress" => CallStatus::InProgress,
        "completed" => CallStatus::Completed,
        "busy" => CallStatus::Busy,
        "no-answer" => CallStatus::NoAnswer,
        "failed" => CallStatus::Failed,
        "canceled" => CallStatus::Canceled,
        other => CallStatus::Other(other.to_owned()),
    }
}

fn stream_update(call: &str, form: &Form) -> StreamUpdate {
    StreamUpdate {
        provider_id: call.to_owned(),
        what: form.get("StreamEvent").unwrap_or_default().to_owned(),
        extra: form.told(|name| matches!(name, "StreamSid" | "StreamName" | "StreamError" | "StreamErrorCode")),
    }
}
