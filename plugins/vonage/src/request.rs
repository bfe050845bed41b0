//! Vonage's REST APIs: calls with a token that the host signs, applications and numbers with key and secret.

use jackfield_sdk::form;
use jackfield_sdk::http::{self, Http};
use jackfield_sdk::json::{decimal, number, seconds, text, told};
use jackfield_sdk::number::{canonical, digits};
use jackfield_sdk::reply::hook_url;
use jackfield_sdk::rest::{Rest, bound, inspected, items, position, progress};
use jackfield_sdk::types::{
    Account, Authorization, Binding, Call, Fault, Inspection, JwtAuthorization, Money, NumberPage, PhoneNumber,
    PlaceRequest, Placed, SayAction, TransferProgress, TransferStep,
};
use jackfield_sdk::{Calls, account};
use serde_json::{Value, json};

use crate::Vonage;
use crate::config::{API_KEY, API_SECRET, APPLICATION_ID, PRIVATE_KEY};
use crate::event::status;
use crate::render;

const CALLS: &str = "https://api.nexmo.com/v1/calls";
const NUMBERS: &str = "https://rest.nexmo.com/account/numbers";

/// The API of calls. The host completes the token's claims with times and a name of its own.
fn voice<'a>(http: &'a dyn Http, account: &Account) -> Result<Rest<'a>, Fault> {
    let claims = json!({ "application_id": account::required(account, APPLICATION_ID)? }).to_string();
    let jwt = Authorization::JwtRs256(JwtAuthorization { secret: PRIVATE_KEY.to_owned(), claims });
    Ok(Rest::new(http, "Vonage", vec![jwt]))
}

/// The APIs of applications and numbers.
fn console<'a>(http: &'a dyn Http, account: &Account) -> Result<Rest<'a>, Fault> {
    Ok(Rest::new(http, "Vonage", vec![http::basic(account::required(account, API_KEY)?, API_SECRET)]))
}

/// A call lives in one data centre, which its webhook named. Only Vonage's own are believed.
fn call_url(voice: &Rest<'_>, call: &Call) -> Result<String, Fault> {
    let id = voice.name_of(call)?;
    let region = std::str::from_utf8(&call.memo).unwrap_or_default();
    let host = region.strip_prefix("https://").unwrap_or_default().trim_end_matches('/');
    let plain = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let theirs = host.ends_with(".vonage.com") || host.ends_with(".nexmo.com");
    Ok(if plain && theirs { format!("https://{host}/v1/calls/{id}") } else { format!("{CALLS}/{id}") })
}

impl Calls for Vonage {
    fn probe(http: &dyn Http, account: &Account) -> Result<(), Fault> {
        voice(http, account)?.get(&format!("{CALLS}?page_size=1"))?;
        console(http, account)?.get(&format!("{NUMBERS}?size=1")).map(|_| ())
    }

    fn place(http: &dyn Http, account: &Account, request: &PlaceRequest, _now: u64) -> Result<Placed, Fault> {
        let order = json!({
            "to": [endpoint(&request.call.to)],
            "from": { "type": "phone", "number": digits(&request.call.from) },
            "answer_url": [hook_url(&request.hooks, "answer")],
            "answer_method": "POST",
            "event_url": [hook_url(&request.hooks, "event")],
            "event_method": "POST",
            "ringing_timer": request.ring_timeout.clamp(1, 120),
            "length_timer": request.max_duration.clamp(1, 7_200),
        });
        let voice = voice(http, account)?;
        voice.placed(&voice.order(CALLS, &order)?["uuid"])
    }

    fn find_placed(
        http: &dyn Http,
        account: &Account,
        request: &PlaceRequest,
        _since: u64,
    ) -> Result<Option<Placed>, Fault> {
        let voice = voice(http, account)?;
        let found = voice.get(&format!("{CALLS}?order=desc&page_size=20"))?;
        let is = |end: &Value, wanted: &str| {
            text(&end["number"]).or(text(&end["uri"])).is_some_and(|said| canonical(said) == wanted)
        };
        let up = |call: &Value| matches!(text(&call["status"]), Some("started" | "ringing" | "answered"));
        let ours = |call: &&Value| {
            call["direction"] == "outbound"
                && up(call)
                && is(&call["from"], &request.call.from)
                && is(&call["to"], &request.call.to)
        };
        let call = items(&found["_embedded"], "calls").iter().find(ours);
        call.map(|call| voice.placed(&call["uuid"])).transpose()
    }

    fn hang_up(http: &dyn Http, account: &Account, call: &Call) -> Result<(), Fault> {
        let voice = voice(http, account)?;
        match voice.end("PUT", &call_url(&voice, call)?, Some(&json!({ "action": "hangup" }))) {
            // Not in a state to be ended: it has ended.
            Err(Fault::Refused(refusal)) if refusal.code == "400" => Ok(()),
            outcome => outcome,
        }
    }

    fn inspect(http: &dyn Http, account: &Account, call: &Call) -> Result<Inspection, Fault> {
        let voice = voice(http, account)?;
        let found = voice.get(&call_url(&voice, call)?)?;
        let raw = text(&found["status"]).unwrap_or_default();
        Ok(Inspection {
            duration: seconds(&found["duration"]),
            cost: decimal(&found["price"]).map(|amount| Money { amount, currency: "EUR".to_owned() }),
            ..inspected(status(raw), raw)
        })
    }

    fn transfer(
        http: &dyn Http,
        account: &Account,
        call: &Call,
        step: &TransferStep,
    ) -> Result<TransferProgress, Fault> {
        let voice = voice(http, account)?;
        match step {
            TransferStep::Dial(dial) => {
                let order = json!({
                    "to": [endpoint(&dial.to)],
                    "from": { "type": "phone", "number": digits(&dial.from) },
                    "ncco": meeting(&dial.conference, &dial.announcement),
                    "event_url": [hook_url(&dial.hooks, "transfer")],
                    "event_method": "POST",
                    "ringing_timer": dial.ring_timeout.clamp(1, 120),
                });
                let placed = voice.placed(&voice.order(CALLS, &order)?["uuid"])?;
                Ok(progress(Some(placed.provider_id)))
            }
            TransferStep::Join(join) => {
                let ncco = meeting(&join.conference, "");
                let order = json!({ "action": "transfer", "destination": { "type": "ncco", "ncco": ncco } });
                voice.change("PUT", &call_url(&voice, call)?, Some(&order)).map(|_| progress(None))
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
        let console = console(http, account)?;
        let application = account::required(account, APPLICATION_ID)?;
        let wanted = form::component(digits(number));
        let found = console.get(&format!("{NUMBERS}?pattern={wanted}&search_pattern=0&size=100"))?;
        let known = items(&found, "numbers").iter().find(|known| known["msisdn"] == digits(number));
        let known = match (known, webhook) {
            (Some(known), _) => known,
            (None, None) => return Ok(bound()),
            (None, Some(_)) => return Err(Fault::NotFound),
        };
        let warnings = match webhook {
            Some(webhook) => point(&console, application, webhook)?,
            None => Vec::new(),
        };
        let bound = if webhook.is_some() { application } else { "" };
        link(http, account, text(&known["country"]).unwrap_or_default(), digits(number), bound)?;
        Ok(Binding { warnings })
    }

    fn list_numbers(http: &dyn Http, account: &Account, cursor: Option<&str>) -> Result<NumberPage, Fault> {
        let page = position(cursor, 1)?;
        let found = console(http, account)?.get(&format!("{NUMBERS}?index={page}&size={PAGE}"))?;
        let more = page.saturating_mul(PAGE) < number(&found["count"]).unwrap_or(0);
        Ok(NumberPage {
            numbers: items(&found, "numbers").iter().filter_map(phone_number).collect(),
            next: more.then(|| page.saturating_add(1).to_string()),
        })
    }
}

/// Whom to ring.
fn endpoint(to: &str) -> Value {
    match to.starts_with("sip:") {
        true => json!({ "type": "sip", "uri": to }),
        false => json!({ "type": "phone", "number": digits(to) }),
    }
}

/// The conversation in which both legs meet. Whoever leaves it ends it.
fn meeting(conference: &str, announcement: &str) -> Value {
    let room = json!({ "action": "conversation", "name": conference, "startOnEnter": true, "endOnExit": true });
    let said = SayAction { text: announcement.to_owned(), language: String::new() };
    if announcement.is_empty() { json!([room]) } else { json!([render::talk(&said), room]) }
}

/// Numbers on a page.
const PAGE: u64 = 100;

/// Points the application at the webhook. It is replaced whole, so it is read first.
fn point(console: &Rest<'_>, application: &str, webhook: &str) -> Result<Vec<String>, Fault> {
    let url = format!("https://api.nexmo.com/v2/applications/{}", form::component(application));
    let mut known = console.get(&url)?;
    if !known.is_object() {
        return Err(Fault::Malformed("Vonage answered no application".to_owned()));
    }
    let hook = json!({ "address": webhook, "http_method": "POST" });
    let webhooks = &mut known["capabilities"]["voice"]["webhooks"];
    webhooks["answer_url"] = hook.clone();
    webhooks["event_url"] = hook;
    known["capabilities"]["voice"]["signed_callbacks"] = json!(true);
    console.change("PUT", &url, Some(&known))?;
    Ok(vec!["the application's webhook is that of every number linked to it".to_owned()])
}

/// An empty application unlinks. UNVERIFIED.
fn link(http: &dyn Http, account: &Account, country: &str, number: &str, application: &str) -> Result<(), Fault> {
    let authorization = http::basic(account::required(account, API_KEY)?, API_SECRET);
    let pairs = [("country", country), ("msisdn", number), ("app_id", application)];
    let request = http::post_form("https://rest.nexmo.com/number/update".to_owned(), authorization, &pairs);
    let response = http.send(&http::idempotent(request)).map_err(http::fault_of)?;
    let answer: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    match (response.status, text(&answer["error-code"])) {
        (200, Some("200")) => Ok(()),
        (401, _) => Err(Fault::Account("Vonage refuses the API key and secret; check both".to_owned())),
        (429, _) => Err(Fault::RetryLater(http::retry_after(&response))),
        (status, _) => Err(Fault::Other(format!("Vonage did not link the number: {status}"))),
    }
}

fn phone_number(found: &Value) -> Option<PhoneNumber> {
    Some(PhoneNumber {
        number: canonical(text(&found["msisdn"])?),
        label: String::new(),
        webhook: String::new(),
        extra: told(found, &["country", "type", "app_id"]),
    })
}
