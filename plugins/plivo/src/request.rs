//! Plivo's REST API, version 1: JSON both ways, paths that end with a slash.

use jackfield_sdk::form::{Form, component};
use jackfield_sdk::http::{self, Http};
use jackfield_sdk::json::{decimal, number, seconds, text};
use jackfield_sdk::number::{canonical, digits};
use jackfield_sdk::play_webhooks::{hooks, order};
use jackfield_sdk::reply::hook_url;
use jackfield_sdk::rest::{Rest, bound, inspected, items, position, progress};
use jackfield_sdk::types::{
    Account, Binding, Call, CallStatus, Fault, Inspection, Money, NumberPage, PhoneNumber, PlaceRequest, Placed,
    TransferProgress, TransferStep,
};
use jackfield_sdk::{Calls, account};
use serde_json::{Value, json};

use crate::Plivo;
use crate::config::{APPLICATION_ID, AUTH_ID, AUTH_TOKEN};
use crate::event::status;

/// One account's API, and where its URLs begin.
struct Api<'a> {
    rest: Rest<'a>,
    base: String,
}

fn api<'a>(http: &'a dyn Http, account: &Account) -> Result<Api<'a>, Fault> {
    let id = account::required(account, AUTH_ID)?;
    let rest = Rest::new(http, "Plivo", vec![http::basic(id, AUTH_TOKEN)]);
    Ok(Api { rest, base: format!("https://api.plivo.com/v1/Account/{}", component(id)) })
}

impl Api<'_> {
    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    fn call_url(&self, kind: &str, call: &Call) -> Result<String, Fault> {
        Ok(self.url(&format!("{kind}/{}/", self.rest.name_of(call)?)))
    }
}

impl Calls for Plivo {
    fn probe(http: &dyn Http, account: &Account) -> Result<(), Fault> {
        let api = api(http, account)?;
        api.rest.get(&api.url("")).map(|_| ())
    }

    fn place(http: &dyn Http, account: &Account, request: &PlaceRequest, _now: u64) -> Result<Placed, Fault> {
        let api = api(http, account)?;
        let answer = api.rest.order(&api.url("Call/"), &order(request)?)?;
        // One destination gives a name, several give a list.
        let first = answer["request_uuid"].get(0).unwrap_or(&answer["request_uuid"]);
        api.rest.placed(first)
    }

    fn find_placed(
        http: &dyn Http,
        account: &Account,
        request: &PlaceRequest,
        _since: u64,
    ) -> Result<Option<Placed>, Fault> {
        let api = api(http, account)?;
        for state in ["live", "queued"] {
            let found = api.rest.get(&api.url(&format!("Call/?status={state}")))?;
            for id in items(&found, "calls").iter().filter_map(text).take(LOOKED_AT) {
                let url = api.url(&format!("Call/{}/?status={state}", component(id)));
                match api.rest.get(&url) {
                    Ok(call) if is_ours(&call, request) => {
                        let order = &call["request_uuid"];
                        let name = if text(order).is_some() { order } else { &Value::from(id) };
                        return api.rest.placed(name).map(Some);
                    }
                    // It ended meanwhile.
                    Ok(_) | Err(Fault::NotFound) => {}
                    Err(fault) => return Err(fault),
                }
            }
        }
        Ok(None)
    }

    fn hang_up(http: &dyn Http, account: &Account, call: &Call) -> Result<(), Fault> {
        let api = api(http, account)?;
        // A call that is still queued is known as a request alone.
        for kind in ["Call", "Request"] {
            match api.rest.change("DELETE", &api.call_url(kind, call)?, None) {
                Ok(_) => return Ok(()),
                Err(Fault::NotFound) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    fn inspect(http: &dyn Http, account: &Account, call: &Call) -> Result<Inspection, Fault> {
        let api = api(http, account)?;
        let url = api.call_url("Call", call)?;
        let ended = match api.rest.get(&url) {
            Ok(record) => return Ok(ended(&record)),
            Err(fault) => fault,
        };
        // There is no record before the end.
        if ended != Fault::NotFound {
            return Err(ended);
        }
        let live = api.rest.get(&format!("{url}?status=live"))?;
        let raw = text(&live["call_status"]).unwrap_or("in-progress");
        Ok(inspected(status(raw, &Form::default()), raw))
    }

    fn transfer(
        http: &dyn Http,
        account: &Account,
        call: &Call,
        step: &TransferStep,
    ) -> Result<TransferProgress, Fault> {
        let api = api(http, account)?;
        match step {
            // Whoever picks up is asked about at the answer URL, as in every call.
            TransferStep::Dial(dial) if dial.to.contains('<') => {
                Err(Fault::Unsupported("one transfer has one destination".to_owned()))
            }
            TransferStep::Dial(dial) => {
                let order = json!({
                    "to": digits(&dial.to),
                    "from": digits(&dial.from),
                    "answer_url": hook_url(&dial.hooks, "answer"),
                    "answer_method": "POST",
                    "hangup_url": hook_url(&dial.hooks, "transfer"),
                    "hangup_method": "POST",
                    "ring_timeout": dial.ring_timeout.clamp(1, 120),
                });
                let answer = api.rest.order(&api.url("Call/"), &order)?;
                let first = answer["request_uuid"].get(0).unwrap_or(&answer["request_uuid"]);
                api.rest.placed(first).map(|placed| progress(Some(placed.provider_id)))
            }
            TransferStep::Join(join) => {
                let hooks = join.extra.iter().find(|(name, _)| name == "hooks").map(|(_, hooks)| hooks.as_str());
                let hooks = hooks.ok_or_else(|| Fault::Other("the host did not say where callbacks go".to_owned()))?;
                let order = json!({ "legs": "aleg", "aleg_url": hook_url(hooks, "answer"), "aleg_method": "POST" });
                api.rest.change("POST", &api.call_url("Call", call)?, Some(&order)).map(|_| progress(None))
            }
            TransferStep::Cancel(leg) => {
                let call = Call { provider_id: leg.clone(), ..call.clone() };
                Self::hang_up(http, account, &call).map(|()| progress(None))
            }
            TransferStep::Other(what) => Err(Fault::Unsupported(what.clone())),
        }
    }

    fn bind_number(http: &dyn Http, account: &Account, number: &str, webhook: Option<&str>) -> Result<Binding, Fault> {
        if !number.starts_with('+') {
            return Ok(bound());
        }
        let api = api(http, account)?;
        let url = api.url(&format!("Number/{}/", component(digits(number))));
        let Some(webhook) = webhook else {
            return api.rest.end("POST", &url, Some(&json!({ "app_id": "" }))).map(|()| bound());
        };
        let (application, warnings) = api.application(account, webhook)?;
        api.rest.change("POST", &url, Some(&json!({ "app_id": application })))?;
        Ok(Binding { warnings })
    }

    fn list_numbers(http: &dyn Http, account: &Account, cursor: Option<&str>) -> Result<NumberPage, Fault> {
        let api = api(http, account)?;
        let offset = position(cursor, 0)?;
        let found = api.rest.get(&api.url(&format!("Number/?limit={PAGE}&offset={offset}")))?;
        let next = text(&found["meta"]["next"]).map(|_| (offset.saturating_add(PAGE)).to_string());
        Ok(NumberPage { numbers: items(&found, "objects").iter().filter_map(phone_number).collect(), next })
    }
}

/// Numbers on a page; Plivo gives no more.
const PAGE: u64 = 20;
/// Live calls that are looked at when one is searched.
const LOOKED_AT: usize = 10;

impl Api<'_> {
    /// The application that numbers are bound to, pointed at the webhook.
    fn application(&self, account: &Account, webhook: &str) -> Result<(String, Vec<String>), Fault> {
        let hooks = hooks(webhook);
        if let Some(known) = account::field(account, APPLICATION_ID) {
            self.rest.change("POST", &self.url(&format!("Application/{}/", component(known))), Some(&hooks))?;
            let shared = "the application's webhook is that of every number bound to it".to_owned();
            return Ok((known.to_owned(), vec![shared]));
        }
        let mut made = hooks;
        made["app_name"] = json!(format!("jackfield-{}", account.id));
        let answer = self.rest.order(&self.url("Application/"), &made)?;
        let id = text(&answer["app_id"])
            .ok_or_else(|| Fault::Malformed("Plivo's answer names no application".to_owned()))?;
        Ok((id.to_owned(), vec![format!("the application {id} was made; fill it in as Application ID")]))
    }
}

fn is_ours(call: &Value, request: &PlaceRequest) -> bool {
    let between = |name: &str, number: &str| text(&call[name]).is_some_and(|said| canonical(said) == number);
    call["direction"] == "outbound" && between("from", &request.call.from) && between("to", &request.call.to)
}

fn ended(record: &Value) -> Inspection {
    let code = number(&record["hangup_cause_code"]).unwrap_or_default();
    let told = format!("HangupCauseCode={code}");
    let form = Form::parse(told.as_bytes());
    // 4000 and the like are good ends; every other code that is not refined is a failure.
    let status = match status("completed", &form) {
        CallStatus::Completed if !GOOD_ENDS.contains(&code) => CallStatus::Failed,
        status => status,
    };
    let amount = decimal(&record["total_amount"]);
    Inspection {
        duration: seconds(&record["call_duration"]),
        // Plivo bills in US dollars unless the account says otherwise, which no record tells.
        cost: amount.map(|amount| Money { amount, currency: "USD".to_owned() }),
        ..inspected(status, text(&record["hangup_cause_name"]).unwrap_or_default())
    }
}

const GOOD_ENDS: [u64; 6] = [0, 4_000, 4_010, 4_020, 4_030, 6_000];

fn phone_number(found: &Value) -> Option<PhoneNumber> {
    let said = |name: &str| text(&found[name]).unwrap_or_default().to_owned();
    Some(PhoneNumber {
        number: canonical(text(&found["number"])?),
        label: said("alias"),
        webhook: String::new(),
        extra: vec![("application".to_owned(), said("application"))],
    })
}
