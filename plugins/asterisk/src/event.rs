//! The event socket: where it is, and what its messages mean.

use jackfield_sdk::Socket;
use jackfield_sdk::event::{incoming, status_update};
use jackfield_sdk::form::component;
use jackfield_sdk::json::{number, text};
use jackfield_sdk::number::{caller, canonical};
use jackfield_sdk::types::{
    Account, CallStatus, Endpoint, Event, Fault, Incoming, Instructions, Proceed, Refusal, StatusUpdate,
};
use serde_json::Value;

use crate::{Asterisk, config, names};

/// Steps that the host is asked to have carried out, by [`crate::request`].
pub(crate) const BRIDGE: &str = "bridge";
pub(crate) const CLEAN_UP: &str = "clean-up";
pub(crate) const MEDIA_ENDED: &str = "media-ended";
/// The host's own: the socket is open.
pub(crate) const OPENED: &str = "opened";

impl Socket for Asterisk {
    fn locate(account: &Account) -> Result<Endpoint, Fault> {
        let base = config::base(account)?.replacen("http", "ws", 1);
        // What the application has to do with is enough. All events of a telephone system would be its every move.
        let query = format!("app={}&subscribeAll=false", component(config::application(account)));
        Ok(Endpoint {
            url: format!("{base}/events?{query}"),
            headers: Vec::new(),
            authorization: config::authorization(account)?,
            subprotocol: None,
            extra: Vec::new(),
        })
    }

    fn read(_account: &Account, message: &str, _now: u64) -> Result<Vec<Event>, Fault> {
        let malformed = || Fault::Malformed("not an event of ARI".to_owned());
        let said: Value = serde_json::from_str(message).map_err(|_| malformed())?;
        let kind = text(&said["type"]).ok_or_else(malformed)?;
        if kind == "ApplicationReplaced" {
            let message =
                "another client listens to this Stasis application now; give each host a configuration of its own";
            return Err(Fault::Refused(Refusal { code: kind.to_owned(), message: message.to_owned() }));
        }
        // In a Dial it is the channel that is dialled.
        let channel = if kind == "Dial" { &said["peer"] } else { &said["channel"] };
        let Some(id) = text(&channel["id"]) else { return Ok(vec![Event::Ignored(kind.to_owned())]) };
        Ok(match names::carried_by(id) {
            Some(carried) => of_media(kind, carried),
            None => of_call(kind, id, channel, &said),
        })
    }
}

/// Of a channel that we made for a call's audio.
fn of_media(kind: &str, carried: &str) -> Vec<Event> {
    match kind {
        "StasisStart" => vec![proceed(carried, BRIDGE)],
        // One that could not reach us never enters the application.
        "StasisEnd" | "ChannelDestroyed" => vec![proceed(carried, MEDIA_ENDED)],
        _ => vec![Event::Ignored(kind.to_owned())],
    }
}

fn of_call(kind: &str, id: &str, channel: &Value, said: &Value) -> Vec<Event> {
    let standing = |status: CallStatus, raw: &str| Event::Status(status_update(id, status, raw));
    match kind {
        "StasisStart" if names::is_destination(id) => vec![standing(CallStatus::InProgress, kind)],
        "StasisEnd" if names::is_destination(id) => vec![standing(CallStatus::Completed, kind)],
        "StasisStart" if names::is_outbound(id) => {
            vec![Event::Instructions(Instructions { provider_id: id.to_owned(), answered_by: None, extra: Vec::new() })]
        }
        "StasisStart" => vec![Event::Incoming(told_of(id, channel))],
        "StasisEnd" => vec![standing(CallStatus::Completed, kind), proceed(id, CLEAN_UP)],
        "ChannelStateChange" if channel["state"] == "Ringing" => vec![standing(CallStatus::Ringing, "Ringing")],
        "ChannelDestroyed" => vec![Event::Status(destroyed(id, said))],
        "Dial" => vec![match text(&said["dialstatus"]).unwrap_or_default() {
            "RINGING" => standing(CallStatus::Ringing, "RINGING"),
            "" => standing(CallStatus::Initiated, "Dial"),
            other => Event::Ignored(other.to_owned()),
        }],
        _ => vec![Event::Ignored(kind.to_owned())],
    }
}

fn proceed(id: &str, step: &str) -> Event {
    Event::Proceed(Proceed { provider_id: id.to_owned(), step: step.to_owned(), extra: Vec::new() })
}

fn told_of(id: &str, channel: &Value) -> Incoming {
    let word = |value: &Value| text(value).unwrap_or_default().to_owned();
    let (from, dialled) = (word(&channel["caller"]["number"]), word(&channel["dialplan"]["exten"]));
    let mut extra = vec![("channel".to_owned(), word(&channel["name"]))];
    extra.push(("context".to_owned(), word(&channel["dialplan"]["context"])));
    Incoming {
        caller_name: word(&channel["caller"]["name"]),
        extra,
        ..incoming(id, caller(&from, canonical), canonical(&dialled))
    }
}

/// Why a channel is gone: SIP's number where there is one, else Q.850's.
fn destroyed(id: &str, said: &Value) -> StatusUpdate {
    let cause = number(&said["cause"]).unwrap_or_default();
    let sip = number(&said["tech_cause"]).filter(|sip| *sip >= 300);
    let status = match sip {
        Some(486 | 600) => CallStatus::Busy,
        Some(408 | 480) => CallStatus::NoAnswer,
        Some(487) => CallStatus::Canceled,
        Some(_) => CallStatus::Failed,
        None => by_cause(cause),
    };
    let raw = text(&said["cause_txt"]).unwrap_or("destroyed").to_owned();
    let cause = sip.map_or_else(|| format!("q850 {cause}"), |sip| format!("sip {sip}"));
    StatusUpdate { cause: Some(cause), ..status_update(id, status, &raw) }
}

/// One that was answered has left the application before, and its end is known: these are about those that were not.
fn by_cause(cause: u64) -> CallStatus {
    match cause {
        17 => CallStatus::Busy,
        18..=20 | 102 => CallStatus::NoAnswer,
        16 | 26 => CallStatus::Canceled,
        _ => CallStatus::Failed,
    }
}
