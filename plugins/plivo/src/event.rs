//! Reads Plivo's webhooks.

use jackfield_sdk::form::Form;
use jackfield_sdk::number::canonical;
use jackfield_sdk::play_webhooks::Dialect;
use jackfield_sdk::request::header;
use jackfield_sdk::types::{
    Account, Action, Call, CallStatus, Disproof, Event, Fault, Identity, Proof, Request, Response,
};
use jackfield_sdk::{Webhooks, play_xml};

use crate::{Plivo, sign};

const DIALECT: Dialect = Dialect { number: canonical, status };

impl Webhooks for Plivo {
    fn identify(request: &Request) -> Option<Identity> {
        let headers = ["v3", "ma-v3", "v2", "ma-v2"].map(|kind| format!("x-plivo-signature-{kind}"));
        let recognised = headers.iter().any(|name| header(request, name).is_some());
        if recognised { DIALECT.identity(request) } else { None }
    }

    fn authenticate(account: &Account, request: &Request, _now: u64) -> Result<Proof, Disproof> {
        sign::authenticate(account, request)
    }

    fn read(_account: &Account, request: &Request, hook: &str) -> Result<Vec<Event>, Fault> {
        DIALECT.read(request, hook)
    }

    fn reply(_account: &Account, _call: Option<&Call>, action: &Action) -> Result<Response, Fault> {
        play_xml::answer(action, "")
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
