//! People's telephones.

use jackfield_sdk::Desk;
use jackfield_sdk::http::Http;
use jackfield_sdk::json::text;
use jackfield_sdk::rest::items;
use jackfield_sdk::types::{Account, DeskCall, Fault, HistoryEntry, HistoryKind, Order};
use serde_json::{Value, json};

use crate::config::{API, person};
use crate::event::desk_call;
use crate::{Webex, webhook};

impl Desk for Webex {
    fn calls(http: &dyn Http, _account: &Account, who: &str) -> Result<Vec<DeskCall>, Fault> {
        let found = person(http, who).get(&format!("{API}/telephony/calls"))?;
        Ok(items(&found, "items").iter().filter_map(|call| desk_call(call, "id")).collect())
    }

    fn history(http: &dyn Http, _account: &Account, who: &str) -> Result<Vec<HistoryEntry>, Fault> {
        let found = person(http, who).get(&format!("{API}/telephony/calls/history"))?;
        let mut entries: Vec<HistoryEntry> = items(&found, "items").iter().map(entry).collect();
        // In one form of ISO 8601, which sorts as it reads.
        entries.sort_by(|one, other| other.time.cmp(&one.time));
        Ok(entries)
    }

    fn carry_out(http: &dyn Http, _account: &Account, who: &str, order: &Order) -> Result<Option<String>, Fault> {
        let webex = person(http, who);
        let url = |verb: &str| format!("{API}/telephony/calls/{verb}");
        let (verb, id) = match order {
            // Sent once, whatever is heard of it.
            Order::Dial(to) => {
                let answer = webex.order(&url("dial"), &json!({ "destination": to }))?;
                return Ok(text(&answer["callId"]).map(str::to_owned));
            }
            Order::Answer(id) => {
                webex.once("POST", &url("answer"), Some(&json!({ "callId": id })))?;
                return Ok(None);
            }
            Order::HangUp(id) => ("hangup", id),
            Order::Reject(id) => ("reject", id),
            Order::Hold(id) => ("hold", id),
            Order::Resume(id) => ("resume", id),
            Order::Other(what) => return Err(Fault::Unsupported(what.clone())),
        };
        webex.change("POST", &url(verb), Some(&json!({ "callId": id }))).map(|_| None)
    }

    fn watch(http: &dyn Http, _account: &Account, who: &str, url: Option<&str>) -> Result<(), Fault> {
        webhook::keep(&person(http, who), "telephony_calls", "all", url)
    }
}

fn entry(said: &Value) -> HistoryEntry {
    let word = |member: &str| text(&said[member]).unwrap_or_default().to_owned();
    let private = said["privacyEnabled"] == true;
    HistoryEntry {
        kind: match text(&said["type"]).unwrap_or_default() {
            "placed" => HistoryKind::Placed,
            "missed" => HistoryKind::Missed,
            "received" => HistoryKind::Received,
            _ => HistoryKind::Other,
        },
        name: if private { String::new() } else { word("name") },
        number: if private { String::new() } else { word("number") },
        time: word("time"),
        extra: Vec::new(),
    }
}
