//! Vobiz's REST API: JSON both ways. Paths are case-sensitive, and most end with a slash.

use jackfield_sdk::form::{Form, component};
use jackfield_sdk::http::Http;
use jackfield_sdk::json::{decimal, number as integer, text};
use jackfield_sdk::number::{canonical, digits};
use jackfield_sdk::reply::hook_url;
use jackfield_sdk::rest::{Rest, items, named};
use jackfield_sdk::types::{
    Account, Authorization, Binding, Call, CallStatus, Credential, Fault, HeaderAuthorization, Inspection, Money,
    NumberPage, PhoneNumber, PlaceRequest, Placed, TransferProgress, TransferStep,
};
use jackfield_sdk::{Calls, account};
use serde_json::{Value, json};

use crate::Vobiz;
use crate::config::{APPLICATION_ID, AUTH_ID, AUTH_TOKEN};
use crate::event::{ended_by, number, status};

/// One account's API, and where its URLs begin.
struct Api<'a> {
    rest: Rest<'a>,
    base: String,
}

fn api<'a>(http: &'a dyn Http, account: &Account) -> Result<Api<'a>, Fault> {
    let id = account::required(account, AUTH_ID)?;
    let header = |name: &str, value| Authorization::Header(HeaderAuthorization { name: name.to_owned(), value });
    let authorization = vec![
        header("X-Auth-ID", Credential::Value(id.to_owned())),
        header("X-Auth-Token", Credential::Secret(AUTH_TOKEN.to_owned())),
    ];
    let base = format!("https://api.vobiz.ai/api/v1/Account/{}", component(id));
    Ok(Api { rest: Rest::new(http, "Vobiz", authorization), base })
}

impl Api<'_> {
    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }
}

fn known(call: &Call) -> Result<String, Fault> {
    match call.provider_id.as_str() {
        "" => Err(Fault::Other("Vobiz has not named this call yet".to_owned())),
        id => Ok(component(id)),
    }
}

impl Calls for Vobiz {
    fn probe(http: &dyn Http, account: &Account) -> Result<(), Fault> {
        let api = api(http, account)?;
        api.rest.get(&api.url("numbers?page=1&per_page=1")).map(|_| ())
    }

    fn place(http: &dyn Http, account: &Account, request: &PlaceRequest, _now: u64) -> Result<Placed, Fault> {
        // A `<` parts destinations: one order is one call.
        if request.call.to.contains('<') {
            return Err(Fault::Unsupported("one call has one destination".to_owned()));
        }
        let api = api(http, account)?;
        let hook = |name: &str| hook_url(&request.hooks, name);
        let order = json!({
            "from": digits(&request.call.from),
            "to": digits(&request.call.to),
            "answer_url": hook("answer"),
            "answer_method": "POST",
            "ring_url": hook("ring"),
            "ring_method": "POST",
            // Unset, hangups would come to the answer URL.
            "hangup_url": hook("hangup"),
            "hangup_method": "POST",
            "ring_timeout": request.ring_timeout.clamp(1, 600),
            "time_limit": request.max_duration.clamp(1, 86_400),
        });
        let answer = api.rest.order(&api.url("Call/"), &order)?;
        let names = ["request_uuid", "call_uuid", "CallUUID", "RequestUUID"];
        let name = names.into_iter().map(|name| &answer[name]).find(|name| text(name).is_some());
        Ok(placed(named("Vobiz", name.unwrap_or(&Value::Null))?))
    }

    fn find_placed(
        http: &dyn Http,
        account: &Account,
        request: &PlaceRequest,
        _since: u64,
    ) -> Result<Option<Placed>, Fault> {
        let api = api(http, account)?;
        // The list of live calls has no slash, that of queued ones has.
        for (list, state) in [("Call?status=live", "live"), ("Call/?status=queued", "queued")] {
            let found = api.rest.get(&api.url(list))?;
            for id in items(&found, "calls").iter().filter_map(text).take(LOOKED_AT) {
                match api.rest.get(&api.url(&format!("Call/{}/?status={state}", component(id)))) {
                    Ok(call) if is_ours(&call, request) => return Ok(Some(placed(id))),
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
        match api.rest.change("DELETE", &api.url(&format!("Call/{}/", known(call)?)), None) {
            Ok(_) | Err(Fault::NotFound) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    fn inspect(http: &dyn Http, account: &Account, call: &Call) -> Result<Inspection, Fault> {
        let (api, id) = (api(http, account)?, known(call)?);
        match api.rest.get(&api.url(&format!("cdr/{id}"))) {
            Ok(record) => return Ok(ended(&record["data"])),
            // There is no record before the end.
            Err(Fault::NotFound) => {}
            Err(fault) => return Err(fault),
        }
        let live = api.rest.get(&api.url(&format!("Call/{id}/?status=live")))?;
        let raw = text(&live["call_status"]).unwrap_or("in-progress").to_owned();
        let status = status(&raw, &Form::default());
        Ok(Inspection { status, raw, duration: None, cost: None, extra: Vec::new() })
    }

    fn transfer(
        _http: &dyn Http,
        _account: &Account,
        _call: &Call,
        _step: &TransferStep,
    ) -> Result<TransferProgress, Fault> {
        Err(Fault::Unsupported("Vobiz does not support call transfers".to_owned()))
    }

    fn bind_number(http: &dyn Http, account: &Account, number: &str, webhook: Option<&str>) -> Result<Binding, Fault> {
        if !number.starts_with('+') {
            return Ok(Binding { warnings: Vec::new() });
        }
        let api = api(http, account)?;
        let url = api.url(&format!("numbers/{}/application", component(number)));
        let Some(webhook) = webhook else {
            return match api.rest.change("DELETE", &url, None) {
                Ok(_) | Err(Fault::NotFound) => Ok(Binding { warnings: Vec::new() }),
                Err(fault) => Err(fault),
            };
        };
        let (application, warnings) = api.application(account, webhook)?;
        // Attached first: if that fails, the application's other numbers are left as they were.
        api.rest.change("POST", &url, Some(&json!({ "application_id": application })))?;
        let path = format!("Application/{}/", component(&application));
        api.rest.change("POST", &api.url(&path), Some(&hooks(webhook)))?;
        Ok(Binding { warnings })
    }

    fn list_numbers(http: &dyn Http, account: &Account, cursor: Option<&str>) -> Result<NumberPage, Fault> {
        let api = api(http, account)?;
        let page: u64 = match cursor.map(str::parse) {
            None => 1,
            Some(Ok(page)) => page,
            Some(Err(_)) => return Err(Fault::Other("the cursor is not one of this list's".to_owned())),
        };
        let found = api.rest.get(&api.url(&format!("numbers?page={page}&per_page={PAGE}")))?;
        let more = page.saturating_mul(PAGE) < integer(&found["total"]).unwrap_or(0);
        Ok(NumberPage {
            numbers: items(&found, "items").iter().filter_map(phone_number).collect(),
            next: more.then(|| page.saturating_add(1).to_string()),
        })
    }
}

/// Numbers on a page.
const PAGE: u64 = 100;
/// Live calls that are looked at when one is searched.
const LOOKED_AT: usize = 10;

fn hooks(webhook: &str) -> Value {
    json!({ "answer_url": webhook, "answer_method": "POST", "hangup_url": webhook, "hangup_method": "POST" })
}

impl Api<'_> {
    /// The application that numbers are bound to, made where the account names none.
    fn application(&self, account: &Account, webhook: &str) -> Result<(String, Vec<String>), Fault> {
        if let Some(known) = account::field(account, APPLICATION_ID) {
            let shared = "the application's webhook is that of every number bound to it".to_owned();
            return Ok((known.to_owned(), vec![shared]));
        }
        let mut made = hooks(webhook);
        made["app_name"] = json!(format!("jackfield-{}", account.id));
        let answer = self.rest.order(&self.url("Application/"), &made)?;
        let id =
            text(&answer["app_id"]).map(str::to_owned).or_else(|| integer(&answer["app_id"]).map(|id| id.to_string()));
        let id = id.ok_or_else(|| Fault::Malformed("Vobiz's answer names no application".to_owned()))?;
        let told = format!("the application {id} was made; fill it in as Application ID");
        Ok((id, vec![told]))
    }
}

fn placed(id: &str) -> Placed {
    Placed { provider_id: id.to_owned(), status: CallStatus::Initiated, memo: Vec::new(), extra: Vec::new() }
}

fn is_ours(call: &Value, request: &PlaceRequest) -> bool {
    let same = |name: &str, wanted: &str| {
        text(&call[name]).is_some_and(|said| [canonical(said), number(said)].iter().any(|said| said == wanted))
    };
    call["direction"] == "outbound" && same("from", &request.call.from) && same("to", &request.call.to)
}

fn ended(record: &Value) -> Inspection {
    let cause = text(&record["hangup_cause"]).unwrap_or_default();
    let amount = decimal(&record["total_cost"]).or_else(|| decimal(&record["cost"]));
    let currency = text(&record["currency"]).unwrap_or_default().to_owned();
    let talked = integer(&record["billsec"]).or_else(|| integer(&record["duration"]));
    Inspection {
        status: ended_by(cause),
        raw: cause.to_owned(),
        duration: talked.and_then(|seconds| u32::try_from(seconds).ok()),
        cost: amount.map(|amount| Money { amount, currency }),
        extra: Vec::new(),
    }
}

fn phone_number(found: &Value) -> Option<PhoneNumber> {
    let label = text(&found["alias"]).unwrap_or_default().to_owned();
    Some(PhoneNumber { number: canonical(text(&found["e164"])?), label, webhook: String::new(), extra: Vec::new() })
}
