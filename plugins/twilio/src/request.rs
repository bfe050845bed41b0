//! Twilio's REST API, version 2010-04-01: forms in, JSON out.

use jackfield_sdk::form;
use jackfield_sdk::http::{self, Http};
use jackfield_sdk::json::{decimal, number, seconds, text};
use jackfield_sdk::reply::hook_url;
use jackfield_sdk::rest::{bound, inspected, items, progress};
use jackfield_sdk::time::rfc2822;
use jackfield_sdk::types::{
    Account, Action, Authorization, Binding, Call, CallStatus, ConferenceAction, Fault, HttpResponse, Inspection,
    Money, NumberPage, PhoneNumber, PlaceRequest, Placed, Refusal, TransferDial, TransferProgress, TransferStep,
};
use jackfield_sdk::{Calls, account};
use serde_json::Value;

use crate::config::{ACCOUNT_SID, AMD_ENABLED, API_KEY_SECRET, API_KEY_SID, AUTH_TOKEN, EDGE, REGION};
use crate::event::status;
use crate::{Twilio, render};

impl Calls for Twilio {
    fn probe(http: &dyn Http, account: &Account) -> Result<(), Fault> {
        // A standard API key may not read the account itself.
        if account::field(account, API_KEY_SID).is_some() {
            return fetch(http, account, &format!("{}/Calls.json?PageSize=1", base(account)?)).map(|_| ());
        }
        let found = fetch(http, account, &format!("{}.json", base(account)?))?;
        match text(&found["status"]) {
            Some("active") | None => Ok(()),
            Some(state) => Err(Fault::Account(format!("Twilio says the account is {state}"))),
        }
    }

    fn place(http: &dyn Http, account: &Account, request: &PlaceRequest, _now: u64) -> Result<Placed, Fault> {
        let url = format!("{}/Calls.json", base(account)?);
        let form = order(account, request);
        let pairs: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let response = http.send(&http::post_form(url, authorization(account)?, &pairs)).map_err(http::fault_of)?;
        placed(&json(&response)?)
    }

    fn find_placed(
        http: &dyn Http,
        account: &Account,
        request: &PlaceRequest,
        since: u64,
    ) -> Result<Option<Placed>, Fault> {
        let query = form::encode([("To", request.call.to.as_str()), ("From", &request.call.from), ("PageSize", "20")]);
        let query = String::from_utf8(query).unwrap_or_default();
        let found = fetch(http, account, &format!("{}/Calls.json?{query}", base(account)?))?;
        // Newest first.
        let ours = items(&found, "calls").iter().find(|call| {
            let made = text(&call["date_created"]).and_then(rfc2822);
            call["direction"] == "outbound-api" && made.is_some_and(|made| made + CLOCKS_DIFFER >= since)
        });
        ours.map(placed).transpose()
    }

    fn hang_up(http: &dyn Http, account: &Account, call: &Call) -> Result<(), Fault> {
        let url = call_url(account, call)?;
        let request = http::post_form(url, authorization(account)?, &[("Status", "completed")]);
        let response = http.send(&http::idempotent(request)).map_err(http::fault_of)?;
        match json(&response) {
            Ok(_) | Err(Fault::NotFound) => Ok(()),
            // Not in a state to be ended: it has ended.
            Err(Fault::Refused(refusal)) if refusal.code == "21220" => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    fn inspect(http: &dyn Http, account: &Account, call: &Call) -> Result<Inspection, Fault> {
        let found = fetch(http, account, &call_url(account, call)?)?;
        let raw = text(&found["status"]).unwrap_or_default();
        let answered_by = text(&found["answered_by"]).map(|by| ("AnsweredBy".to_owned(), by.to_owned()));
        Ok(Inspection {
            duration: seconds(&found["duration"]),
            cost: cost(&found),
            extra: answered_by.into_iter().collect(),
            ..inspected(status(raw), raw)
        })
    }

    fn transfer(
        http: &dyn Http,
        account: &Account,
        call: &Call,
        step: &TransferStep,
    ) -> Result<TransferProgress, Fault> {
        match step {
            TransferStep::Dial(dial) => ring(http, account, dial).map(|placed| progress(Some(placed.provider_id))),
            TransferStep::Join(join) => {
                let twiml = meeting(&join.conference, "")?;
                let request = http::post_form(call_url(account, call)?, authorization(account)?, &[("Twiml", &twiml)]);
                json(&http.send(&http::idempotent(request)).map_err(http::fault_of)?).map(|_| progress(None))
            }
            TransferStep::Cancel(leg) => give_up(http, account, leg).map(|()| progress(None)),
            TransferStep::Other(what) => Err(Fault::Unsupported(what.clone())),
        }
    }

    fn bind_number(http: &dyn Http, account: &Account, number: &str, webhook: Option<&str>) -> Result<Binding, Fault> {
        // Only telephone numbers are bought from Twilio; addresses need no binding.
        if !number.starts_with('+') {
            return Ok(bound());
        }
        let found = match (find_number(http, account, number)?, webhook) {
            (Some(found), _) => found,
            (None, None) => return Ok(bound()),
            (None, Some(_)) => return Err(Fault::NotFound),
        };
        let sid = text(&found["sid"]).ok_or_else(|| malformed("a number without sid"))?;
        let url = format!("{}/IncomingPhoneNumbers/{}.json", base(account)?, form::component(sid));
        let pairs: &[(&str, &str)] = match webhook {
            Some(webhook) => &[
                ("VoiceUrl", webhook),
                ("VoiceMethod", "POST"),
                ("StatusCallback", webhook),
                ("StatusCallbackMethod", "POST"),
            ],
            None => &[("VoiceUrl", ""), ("StatusCallback", "")],
        };
        let request = http::idempotent(http::post_form(url, authorization(account)?, pairs));
        json(&http.send(&request).map_err(http::fault_of)?)?;
        Ok(Binding { warnings: overridden(&found) })
    }

    fn list_numbers(http: &dyn Http, account: &Account, cursor: Option<&str>) -> Result<NumberPage, Fault> {
        let list = format!("{}/IncomingPhoneNumbers.json", base(account)?);
        let url = match cursor {
            None => format!("{list}?PageSize=100"),
            // A cursor is a path that Twilio gave; it must lead back to this list.
            Some(path) => {
                let url = format!("https://{}{path}", host(account));
                let ours = url.strip_prefix(&list).is_some_and(|rest| rest.starts_with('?'));
                if ours { url } else { return Err(Fault::Other("the cursor is not one of this list's".to_owned())) }
            }
        };
        let found = fetch(http, account, &url)?;
        let numbers = items(&found, "incoming_phone_numbers").iter().filter_map(phone_number).collect();
        Ok(NumberPage { numbers, next: text(&found["next_page_uri"]).map(str::to_owned) })
    }
}

/// Milliseconds by which Twilio's clock may be behind the host's.
const CLOCKS_DIFFER: u64 = 5_000;

fn host(account: &Account) -> String {
    match (account::field(account, EDGE), account::field(account, REGION)) {
        (Some(edge), Some(region)) => format!("api.{edge}.{region}.twilio.com"),
        _ => "api.twilio.com".to_owned(),
    }
}

fn base(account: &Account) -> Result<String, Fault> {
    let sid = account::required(account, ACCOUNT_SID)?;
    Ok(format!("https://{}/2010-04-01/Accounts/{}", host(account), form::component(sid)))
}

fn call_url(account: &Account, call: &Call) -> Result<String, Fault> {
    if call.provider_id.is_empty() {
        return Err(Fault::Other("Twilio has not named this call yet".to_owned()));
    }
    Ok(format!("{}/Calls/{}.json", base(account)?, form::component(&call.provider_id)))
}

/// An API key where there is one; the account's own token else.
fn authorization(account: &Account) -> Result<Authorization, Fault> {
    Ok(match account::field(account, API_KEY_SID) {
        Some(key) => http::basic(key, API_KEY_SECRET),
        None => http::basic(account::required(account, ACCOUNT_SID)?, AUTH_TOKEN),
    })
}

fn order(account: &Account, request: &PlaceRequest) -> Vec<(&'static str, String)> {
    let status = hook_url(&request.hooks, "status");
    let mut form = vec![
        ("To", request.call.to.clone()),
        ("From", request.call.from.clone()),
        ("Url", hook_url(&request.hooks, "answer")),
        ("Method", "POST".to_owned()),
        ("StatusCallback", status),
        ("StatusCallbackMethod", "POST".to_owned()),
    ];
    // Repeated once for each value; these four are all there are.
    form.extend(
        ["initiated", "ringing", "answered", "completed"].map(|event| ("StatusCallbackEvent", event.to_owned())),
    );
    form.push(("Timeout", request.ring_timeout.clamp(1, 600).to_string()));
    form.push(("TimeLimit", request.max_duration.clamp(1, 86_400).to_string()));
    if account::is_on(account, AMD_ENABLED) {
        // Asynchronous, so that the caller does not wait in silence for the verdict.
        form.push(("MachineDetection", "Enable".to_owned()));
        form.push(("AsyncAmd", "true".to_owned()));
        form.push(("AsyncAmdStatusCallback", hook_url(&request.hooks, "amd")));
        form.push(("AsyncAmdStatusCallbackMethod", "POST".to_owned()));
    }
    form
}

/// The room in which both legs meet. Whoever leaves it ends it.
fn meeting(conference: &str, announcement: &str) -> Result<String, Fault> {
    let action = Action::Conference(ConferenceAction {
        name: conference.to_owned(),
        announcement: announcement.to_owned(),
        end_on_exit: true,
    });
    Ok(String::from_utf8_lossy(&render::answer(&action)?.body).into_owned())
}

/// Rings the destination of a transfer. It brings its answer along, so that nobody is asked when it picks up.
fn ring(http: &dyn Http, account: &Account, dial: &TransferDial) -> Result<Placed, Fault> {
    let mut form = vec![
        ("To", dial.to.clone()),
        ("From", dial.from.clone()),
        ("Twiml", meeting(&dial.conference, &dial.announcement)?),
        ("StatusCallback", hook_url(&dial.hooks, "transfer")),
        ("StatusCallbackMethod", "POST".to_owned()),
    ];
    form.extend(["ringing", "answered", "completed"].map(|event| ("StatusCallbackEvent", event.to_owned())));
    form.push(("Timeout", dial.ring_timeout.clamp(1, 600).to_string()));
    let pairs: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let url = format!("{}/Calls.json", base(account)?);
    placed(&json(&http.send(&http::post_form(url, authorization(account)?, &pairs)).map_err(http::fault_of)?)?)
}

/// A leg that rings is cancelled; one that was answered meanwhile is ended.
fn give_up(http: &dyn Http, account: &Account, leg: &str) -> Result<(), Fault> {
    let url = format!("{}/Calls/{}.json", base(account)?, form::component(leg));
    for status in ["canceled", "completed"] {
        let request = http::post_form(url.clone(), authorization(account)?, &[("Status", status)]);
        match json(&http.send(&http::idempotent(request)).map_err(http::fault_of)?) {
            Ok(_) | Err(Fault::NotFound) => return Ok(()),
            Err(Fault::Refused(_)) => {}
            Err(fault) => return Err(fault),
        }
    }
    // It is neither ringing nor up.
    Ok(())
}

fn placed(call: &Value) -> Result<Placed, Fault> {
    // An order that was taken and has no name may ring all the same.
    let sid = text(&call["sid"]).ok_or_else(|| Fault::UnknownOutcome("Twilio's answer names no call".to_owned()))?;
    let status = match status(text(&call["status"]).unwrap_or("queued")) {
        CallStatus::Other(_) => CallStatus::Initiated,
        status => status,
    };
    Ok(Placed { provider_id: sid.to_owned(), status, memo: Vec::new(), extra: Vec::new() })
}

fn fetch(http: &dyn Http, account: &Account, url: &str) -> Result<Value, Fault> {
    let response = http.send(&http::get(url.to_owned(), authorization(account)?)).map_err(http::fault_of)?;
    json(&response)
}

fn malformed(what: &str) -> Fault {
    Fault::Malformed(format!("Twilio answered {what}"))
}

/// The JSON of a good answer, or whose fault a bad one is.
fn json(response: &HttpResponse) -> Result<Value, Fault> {
    let body = serde_json::from_slice::<Value>(&response.body);
    if (200..300).contains(&response.status) {
        return body.map_err(|_| match response.status {
            201 => Fault::UnknownOutcome("Twilio took the order and its answer is not JSON".to_owned()),
            _ => malformed("something that is not JSON"),
        });
    }
    // A gateway's error page is no JSON, and some 401 bodies have no code.
    Err(refusal(response, &body.unwrap_or(Value::Null)))
}

fn refusal(response: &HttpResponse, error: &Value) -> Fault {
    let code = number(&error["code"]).unwrap_or(0);
    let message = text(&error["message"]).unwrap_or("no reason given").to_owned();
    match (response.status, code) {
        (_, 20_429 | 10_004) | (429, _) => Fault::RetryLater(http::retry_after(response)),
        (_, 20_003) | (401, _) => Fault::Account("Twilio refuses the Account SID and token; check both".to_owned()),
        (_, 20_404) | (404, _) => Fault::NotFound,
        (500.., _) => Fault::UnknownOutcome(format!("Twilio answered {}", response.status)),
        (status, 0) => Fault::Refused(Refusal { code: status.to_string(), message }),
        _ => Fault::Refused(Refusal { code: code.to_string(), message }),
    }
}

/// The filter is a pattern, so the number is compared whole.
fn find_number(http: &dyn Http, account: &Account, number: &str) -> Result<Option<Value>, Fault> {
    let url = format!("{}/IncomingPhoneNumbers.json?PhoneNumber={}", base(account)?, form::component(number));
    let found = fetch(http, account, &url)?;
    Ok(items(&found, "incoming_phone_numbers").iter().find(|known| known["phone_number"] == number).cloned())
}

/// What keeps a number's own webhook from being asked.
fn overridden(number: &Value) -> Vec<String> {
    let owners = [("voice_application_sid", "a TwiML application"), ("trunk_sid", "a SIP trunk")];
    let taken = owners.into_iter().filter(|(field, _)| text(&number[*field]).is_some());
    taken
        .map(|(_, owner)| {
            format!("the number belongs to {owner}, which wins over its webhook; remove it in the Twilio console")
        })
        .collect()
}

fn phone_number(found: &Value) -> Option<PhoneNumber> {
    let said = |name: &str| text(&found[name]).map(str::to_owned);
    Some(PhoneNumber {
        number: said("phone_number")?,
        label: said("friendly_name").unwrap_or_default(),
        webhook: said("voice_url").unwrap_or_default(),
        extra: said("sid").map(|sid| ("sid".to_owned(), sid)).into_iter().collect(),
    })
}

/// Negative, as text, and null until minutes after the end.
fn cost(call: &Value) -> Option<Money> {
    let amount = decimal(&call["price"])?.trim_start_matches('-').to_owned();
    Some(Money { amount, currency: text(&call["price_unit"]).unwrap_or_default().to_owned() })
}
