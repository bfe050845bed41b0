//! Vobiz's REST API: JSON both ways. Paths are case-sensitive, and most end with a slash.

use jackfield_sdk::form::{Form, component};
use jackfield_sdk::http::Http;
use jackfield_sdk::json::{decimal, number as integer, seconds, text};
use jackfield_sdk::number::canonical;
use jackfield_sdk::play_webhooks::{hooks, order};
use jackfield_sdk::rest::{Rest, bound, inspected, items, position};
use jackfield_sdk::types::{
    Account, Authorization, Binding, Call, Credential, Fault, HeaderAuthorization, Inspection, Money, NumberPage,
    PhoneNumber, PlaceRequest, Placed, TransferProgress, TransferStep,
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

impl Calls for Vobiz {
    fn probe(http: &dyn Http, account: &Account) -> Result<(), Fault> {
        let api = api(http, account)?;
        api.rest.get(&api.url("numbers?page=1&per_page=1")).map(|_| ())
    }

    fn place(http: &dyn Http, account: &Account, request: &PlaceRequest, _now: u64) -> Result<Placed, Fault> {
        let api = api(http, account)?;
        let answer = api.rest.order(&api.url("Call/"), &order(request)?)?;
        let names = ["request_uuid", "call_uuid", "CallUUID", "RequestUUID"];
        let name = names.into_iter().map(|name| &answer[name]).find(|name| text(name).is_some());
        api.rest.placed(name.unwrap_or(&Value::Null))
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
                    Ok(call) if is_ours(&call, request) => return api.rest.placed(&id.into()).map(Some),
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
        api.rest.end("DELETE", &api.url(&format!("Call/{}/", api.rest.name_of(call)?)), None)
    }

    fn inspect(http: &dyn Http, account: &Account, call: &Call) -> Result<Inspection, Fault> {
        let api = api(http, account)?;
        let id = api.rest.name_of(call)?;
        match api.rest.get(&api.url(&format!("cdr/{id}"))) {
            Ok(record) => return Ok(ended(&record["data"])),
            // There is no record before the end.
            Err(Fault::NotFound) => {}
            Err(fault) => return Err(fault),
        }
        let live = api.rest.get(&api.url(&format!("Call/{id}/?status=live")))?;
        let raw = text(&live["call_status"]).unwrap_or("in-progress");
        Ok(inspected(status(raw, &Form::default()), raw))
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
            return Ok(bound());
        }
        let api = api(http, account)?;
        let url = api.url(&format!("numbers/{}/application", component(number)));
        let Some(webhook) = webhook else {
            return api.rest.end("DELETE", &url, None).map(|()| bound());
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
        let page = position(cursor, 1)?;
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
    Inspection {
        duration: seconds(&record["billsec"]).or_else(|| seconds(&record["duration"])),
        cost: amount.map(|amount| Money { amount, currency }),
        ..inspected(ended_by(cause), cause)
    }
}

fn phone_number(found: &Value) -> Option<PhoneNumber> {
    let label = text(&found["alias"]).unwrap_or_default().to_owned();
    Some(PhoneNumber { number: canonical(text(&found["e164"])?), label, webhook: String::new(), extra: Vec::new() })
}
