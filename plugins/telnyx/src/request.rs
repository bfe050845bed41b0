//! Telnyx's REST API, version 2. Every command has a name of its own, so that one that is sent again is one command.

use jackfield_sdk::encoding::base64;
use jackfield_sdk::form::component;
use jackfield_sdk::http::Http;
use jackfield_sdk::json::{seconds, text};
use jackfield_sdk::number::canonical;
use jackfield_sdk::reply::hook_url;
use jackfield_sdk::rest::{Rest, bound, inspected, items, position, progress};
use jackfield_sdk::types::{
    Account, Action, Authorization, Binding, Call, CallStatus, ConferenceJoin, Credential, Fault, Inspection,
    NumberPage, PhoneNumber, PlaceRequest, Placed, RejectReason, StreamAction, TransferProgress, TransferStep,
};
use jackfield_sdk::{Calls, account};
use serde_json::{Value, json};

use crate::Telnyx;
use crate::config::{API_KEY, CONNECTION_ID, VOICE_PROFILE};

const API: &str = "https://api.telnyx.com/v2";
/// Numbers on a page.
const PAGE: u64 = 100;

fn api(http: &dyn Http) -> Rest<'_> {
    Rest::new(http, "Telnyx", vec![Authorization::Bearer(Credential::Secret(API_KEY.to_owned()))])
}

fn action_url(api: &Rest<'_>, call: &Call, action: &str) -> Result<String, Fault> {
    Ok(format!("{API}/calls/{}/actions/{action}", api.name_of(call)?))
}

/// A command has the name of what it does to which call. Telnyx ignores a second one of that name.
fn command_id(call: &Call, what: &str) -> String {
    let call = if call.id.is_empty() { &call.provider_id } else { &call.id };
    format!("{what}-{call}")
}

/// Without `rtp` Telnyx would take us to send files in MP3.
fn streamed(mut body: Value, call: &Call, stream: &StreamAction, hooks: &str) -> Result<Value, Fault> {
    let socket = stream.url.starts_with("wss://") || stream.url.starts_with("ws://");
    if !socket {
        return Err(Fault::Other("a stream URL is wss://".to_owned()));
    }
    body["stream_url"] = json!(stream.url);
    body["stream_track"] = json!("inbound_track");
    body["stream_bidirectional_mode"] = json!("rtp");
    body["stream_bidirectional_codec"] = json!("PCMU");
    body["webhook_url"] = json!(hook_url(hooks, "event"));
    body["webhook_url_method"] = json!("POST");
    body["client_state"] = json!(base64(call.id.as_bytes()));
    Ok(body)
}

impl Calls for Telnyx {
    fn probe(http: &dyn Http, account: &Account) -> Result<(), Fault> {
        api(http).get(&application_url(account)?).map(|_| ())
    }

    fn place(http: &dyn Http, account: &Account, request: &PlaceRequest, _now: u64) -> Result<Placed, Fault> {
        let api = api(http);
        let order = json!({
            "connection_id": account::required(account, CONNECTION_ID)?,
            "to": request.call.to,
            "from": request.call.from,
            "timeout_secs": request.ring_timeout.clamp(5, 600),
            "time_limit_secs": request.max_duration.clamp(30, 14_400),
            "command_id": command_id(&request.call, "dial"),
        });
        let order = streamed(order, &request.call, &request.stream, &request.hooks)?;
        let answer = api.order(&format!("{API}/calls"), &order)?;
        // An answer with errors may name a call that does not exist.
        if answer["errors"].is_array() {
            return Err(Fault::Other("Telnyx's answer has errors".to_owned()));
        }
        api.placed(&answer["data"]["call_control_id"])
    }

    /// Calls that are up repeat what their order gave them to keep. UNVERIFIED that a list holds one that rings.
    fn find_placed(
        http: &dyn Http,
        account: &Account,
        request: &PlaceRequest,
        _since: u64,
    ) -> Result<Option<Placed>, Fault> {
        let connection = component(account::required(account, CONNECTION_ID)?);
        let api = api(http);
        let found = api.get(&format!("{API}/connections/{connection}/active_calls?page[limit]=250"))?;
        let state = base64(request.call.id.as_bytes());
        let ours = items(&found, "data").iter().find(|call| call["client_state"] == state.as_str());
        ours.map(|call| api.placed(&call["call_control_id"])).transpose()
    }

    fn answer(http: &dyn Http, _account: &Account, call: &Call, action: &Action) -> Result<(), Fault> {
        let api = api(http);
        let (command, body) = match action {
            Action::Stream(stream) => ("answer", streamed(json!({}), call, stream, &stream.hooks)?),
            // A call that is not answered cannot be spoken to, and one that is costs the caller.
            Action::Say(_) => ("reject", json!({ "cause": "CALL_REJECTED" })),
            Action::Reject(RejectReason::Busy) => ("reject", json!({ "cause": "USER_BUSY" })),
            Action::Reject(_) | Action::HangUp => ("reject", json!({ "cause": "CALL_REJECTED" })),
            Action::Acknowledge => return Ok(()),
            Action::Conference(_) => return Err(Fault::Unsupported("a conference".to_owned())),
            Action::Other(what) => return Err(Fault::Unsupported(what.clone())),
        };
        let mut body = body;
        body["command_id"] = json!(command_id(call, command));
        over_is_done(api.change("POST", &action_url(&api, call, command)?, Some(&body)), command != "answer")
    }

    fn hang_up(http: &dyn Http, _account: &Account, call: &Call) -> Result<(), Fault> {
        let api = api(http);
        let body = json!({ "command_id": command_id(call, "hangup") });
        over_is_done(api.change("POST", &action_url(&api, call, "hangup")?, Some(&body)), true)
    }

    /// Telnyx tells whether a call is up, and never why it ended. Its cost comes in a webhook.
    fn inspect(http: &dyn Http, _account: &Account, call: &Call) -> Result<Inspection, Fault> {
        let api = api(http);
        let found = api.get(&format!("{API}/calls/{}", api.name_of(call)?))?;
        let call = &found["data"];
        let (status, raw) = match call["is_alive"].as_bool() {
            Some(true) => (CallStatus::Other("alive".to_owned()), "alive"),
            Some(false) => (CallStatus::Completed, "not alive"),
            None => return Err(Fault::Malformed("Telnyx does not say whether the call is up".to_owned())),
        };
        Ok(Inspection { duration: seconds(&call["call_duration"]), ..inspected(status, raw) })
    }

    fn transfer(
        http: &dyn Http,
        account: &Account,
        call: &Call,
        step: &TransferStep,
    ) -> Result<TransferProgress, Fault> {
        let api = api(http);
        match step {
            TransferStep::Dial(dial) => {
                let order = json!({
                    "connection_id": account::required(account, CONNECTION_ID)?,
                    "to": dial.to,
                    "from": dial.from,
                    "timeout_secs": dial.ring_timeout.clamp(5, 600),
                    "webhook_url": hook_url(&dial.hooks, "transfer"),
                    "webhook_url_method": "POST",
                    "client_state": base64(dial.transfer_id.as_bytes()),
                    "command_id": format!("transfer-{}", dial.transfer_id),
                });
                let answer = api.order(&format!("{API}/calls"), &order)?;
                Ok(progress(Some(api.placed(&answer["data"]["call_control_id"])?.provider_id)))
            }
            TransferStep::Join(join) => meet(&api, call, join).map(|()| progress(None)),
            TransferStep::Cancel(leg) => {
                let url = format!("{API}/calls/{}/actions/hangup", component(leg));
                let body = json!({ "command_id": format!("cancel-{leg}") });
                over_is_done(api.change("POST", &url, Some(&body)), true).map(|()| progress(None))
            }
            TransferStep::Other(what) => Err(Fault::Unsupported(what.clone())),
        }
    }

    fn bind_number(http: &dyn Http, account: &Account, number: &str, webhook: Option<&str>) -> Result<Binding, Fault> {
        // The application's URL is that of all its numbers: taking it away would silence the others.
        let Some(webhook) = webhook.filter(|_| number.starts_with('+')) else { return Ok(bound()) };
        let api = api(http);
        let wanted = component(number);
        let found = api.get(&format!("{API}/phone_numbers?filter[phone_number]={wanted}&page[size]={PAGE}"))?;
        let known = items(&found, "data").iter().find(|known| known["phone_number"] == number);
        let id = known.and_then(|known| text(&known["id"])).ok_or(Fault::NotFound)?;
        point(&api, account, webhook)?;
        let connection = json!({ "connection_id": account::required(account, CONNECTION_ID)? });
        api.change("PATCH", &format!("{API}/phone_numbers/{}", component(id)), Some(&connection))?;
        Ok(Binding { warnings: vec!["the application's webhook is that of every number bound to it".to_owned()] })
    }

    fn list_numbers(http: &dyn Http, _account: &Account, cursor: Option<&str>) -> Result<NumberPage, Fault> {
        let page = position(cursor, 1)?;
        let found = api(http).get(&format!("{API}/phone_numbers?page[number]={page}&page[size]={PAGE}"))?;
        let more = found["meta"]["total_pages"].as_u64().is_some_and(|pages| page < pages);
        Ok(NumberPage {
            numbers: items(&found, "data").iter().filter_map(phone_number).collect(),
            next: more.then(|| page.saturating_add(1).to_string()),
        })
    }
}

/// A conference is made of the leg that was dialled, which answered, and the caller joins it. Its first leg cannot end it,
/// so the caller's end does, and the host hangs the caller up when the other one leaves.
fn meet(api: &Rest<'_>, call: &Call, join: &ConferenceJoin) -> Result<(), Fault> {
    let order = json!({
        "call_control_id": join.destination,
        "name": join.conference,
        "start_conference_on_create": true,
        "beep_enabled": "never",
        "command_id": format!("conference-{}", join.conference),
    });
    let made = api.change("POST", &format!("{API}/conferences"), Some(&order))?;
    let unnamed = || Fault::UnknownOutcome("Telnyx's answer names no conference".to_owned());
    let id = component(text(&made["data"]["id"]).ok_or_else(unnamed)?);
    let order = json!({
        "call_control_id": call.provider_id,
        "end_conference_on_exit": true,
        "start_conference_on_enter": true,
        "command_id": command_id(call, "join"),
    });
    api.change("POST", &format!("{API}/conferences/{id}/actions/join"), Some(&order)).map(|_| ())
}

/// What 422 with this code means: the call has ended already.
const OVER: &str = "90018";

fn over_is_done(outcome: Result<Value, Fault>, over_will_do: bool) -> Result<(), Fault> {
    match outcome {
        Ok(_) => Ok(()),
        Err(Fault::NotFound) if over_will_do => Ok(()),
        Err(Fault::Refused(refusal)) if refusal.code == OVER => {
            if over_will_do {
                Ok(())
            } else {
                Err(Fault::NotFound)
            }
        }
        Err(fault) => Err(fault),
    }
}

fn application_url(account: &Account) -> Result<String, Fault> {
    let id = component(account::required(account, CONNECTION_ID)?);
    Ok(format!("{API}/call_control_applications/{id}"))
}

/// Points the application at the webhook. Telnyx takes no change without the name, so it is read first.
fn point(api: &Rest<'_>, account: &Account, webhook: &str) -> Result<(), Fault> {
    let url = application_url(account)?;
    let known = api.get(&url)?;
    let name = text(&known["data"]["application_name"]);
    let name = name.ok_or_else(|| Fault::Malformed("Telnyx's application has no name".to_owned()))?;
    let mut changed = json!({
        "application_name": name,
        "webhook_event_url": webhook,
        "webhook_api_version": "2",
        "call_cost_in_webhooks": true,
    });
    if let Some(profile) = account::field(account, VOICE_PROFILE) {
        changed["outbound"] = json!({ "outbound_voice_profile_id": profile });
    }
    api.change("PATCH", &url, Some(&changed)).map(|_| ())
}

fn phone_number(found: &Value) -> Option<PhoneNumber> {
    let connection = text(&found["connection_id"]).map(|id| ("connection_id".to_owned(), id.to_owned()));
    Some(PhoneNumber {
        number: canonical(text(&found["phone_number"])?),
        label: text(&found["connection_name"]).unwrap_or_default().to_owned(),
        webhook: String::new(),
        extra: connection.into_iter().collect(),
    })
}
