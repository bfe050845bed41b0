//! Reads Vobiz's webhooks.

use jackfield_sdk::form::Form;
use jackfield_sdk::number::canonical;
use jackfield_sdk::play_webhooks::Dialect;
use jackfield_sdk::request::header;
use jackfield_sdk::types::{
    Account, Action, Call, CallStatus, Disproof, Event, Fault, Identity, Proof, Request, Response,
};
use jackfield_sdk::{Webhooks, play_xml};

use crate::{Vobiz, sign};

const DIALECT: Dialect = Dialect { number, status };

impl Webhooks for Vobiz {
    fn identify(request: &Request) -> Option<Identity> {
        let agent = header(request, "user-agent").unwrap_or_default().to_ascii_lowercase();
        let headers = ["v3", "ma-v3", "v2", "ma-v2"].map(|kind| format!("x-vobiz-signature-{kind}"));
        let recognised = agent.contains("vobiz") || headers.iter().any(|name| header(request, name).is_some());
        if recognised { DIALECT.identity(request) } else { None }
    }

    fn authenticate(account: &Account, request: &Request, _now: u64) -> Result<Proof, Disproof> {
        sign::authenticate(account, request)
    }

    fn read(_account: &Account, request: &Request, hook: &str) -> Result<Vec<Event>, Fault> {
        DIALECT.read(request, hook)
    }

    fn reply(_account: &Account, _call: Option<&Call>, action: &Action) -> Result<Response, Fault> {
        play_xml::answer(action, "WOMAN")
    }
}

/// Vobiz is an Indian carrier and writes numbers as they are dialled there.
pub(crate) fn number(raw: &str) -> String {
    let plain: String = raw.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let national = plain.strip_prefix('0').unwrap_or(&plain);
    if national.len() == 10 && national.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("+91{national}");
    }
    canonical(raw)
}

/// Vobiz's word for where a call stands. An end that is called `completed` is refined by its cause.
pub(crate) fn status(raw: &str, form: &Form) -> CallStatus {
    match raw.to_ascii_lowercase().as_str() {
        "queued" | "initiated" => CallStatus::Initiated,
        "ring" | "ringing" => CallStatus::Ringing,
        "in-progress" | "answered" | "startapp" => CallStatus::InProgress,
        "completed" | "hangup" => ended_by(form.get("HangupCause").unwrap_or("NORMAL_CLEARING")),
        "busy" => CallStatus::Busy,
        "no-answer" | "timeout" => CallStatus::NoAnswer,
        "cancel" | "cancelled" | "canceled" => CallStatus::Canceled,
        "failed" | "rejected" => CallStatus::Failed,
        _ => CallStatus::Other(raw.to_owned()),
    }
}

/// FreeSWITCH's names for why a call ended.
pub(crate) fn ended_by(cause: &str) -> CallStatus {
    match cause {
        "NORMAL_CLEARING" => CallStatus::Completed,
        "USER_BUSY" => CallStatus::Busy,
        "NO_ANSWER" | "NO_USER_RESPONSE" | "ALLOTTED_TIMEOUT" => CallStatus::NoAnswer,
        "ORIGINATOR_CANCEL" => CallStatus::Canceled,
        _ => CallStatus::Failed,
    }
}
