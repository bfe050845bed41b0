//! Twilio's REST API, version 2010-04-01: forms in, JSON out.

use jackfield_sdk::form;
use jackfield_sdk::http::{self, Http};
use jackfield_sdk::reply::hook_url;
use jackfield_sdk::types::{
    Account, Authorization, Binding, Call, CallStatus, Credential, BasicAuthorization, Fault, HttpResponse,
    Inspection, Money, NumberPage, PhoneNumber, PlaceRequest, Placed, Refusal,
};
use jackfield_sdk::{Calls, account};
use serde_json::Value;

use crate::Twilio;
use crate::config::{ACCOUNT_SID, AMD_ENABLED, API_KEY_SECRET, API_KEY_SID, AUTH_TOKEN, EDGE, REGION};
use crate::event::status;

impl Calls for Twilio {
    fn probe(http: &dyn Http, account: &Account) -> Result<(), Fault> {
        let found = fetch(http, account, &format!("{}.json", base(account)?))?;
        match found["status"].as_str() {
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
        // Newest first; a second of grace for clocks that differ.
        let since = since / 1_000;
        let calls = found["calls"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ours = calls.iter().find(|call| {
            let made = call["date_created"].as_str().and_then(rfc2822);
            call["direction"] == "outbound-api" && made.is_some_and(|made| made + 1 >= since)
        });
        ours.map(placed).transpose()
    }

    fn hang_up(http: &dyn Http, account: &Account, call: &Call) -> Result<(), Fault> {
        let url = call_url(account, call)?;
        let request = http::post_form(url, authorization(account)?, &[("Status", "completed")]);
        let response = http.send(&request).map_err(http::fault_of)?;
        match json(&response) {
            Ok(_) | Err(Fault::NotFound) => Ok(()),
            // Not in a state to be ended: it has ended.
            Err(Fault::Refused(refusal)) if refusal.code == "21220" => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    fn inspect(http: &dyn Http, account: &Account, call: &Call) -> Result<Inspection, Fault> {
        let found = fetch(http, account, &call_url(account, call)?)?;
        let raw = found["status"].as_str().unwrap_or_default().to_owned();
        Ok(Inspection {
            status: status(&raw),
            raw,
            duration: number(&found["duration"]),
            cost: cost(&found),
            extra: text(&found["answered_by"]).map(|by| ("AnsweredBy".to_owned(), by)).into_iter().collect(),
        })
    }

    fn bind_number(
        http: &dyn Http,
        account: &Account,
        number: &str,
        webhook: Option<&str>,
    ) -> Result<Binding, Fault> {
        // Only telephone numbers are bought from Twilio; addresses need no binding.
        if !number.starts_with('+') {
            return Ok(Binding { warnings: Vec::new() });
        }
        let Some(found) = find_number(http, account, number)? else {
            return if webhook.is_none() { Ok(Binding { warnings: Vec::new() }) } else { Err(Fault::NotFound) };
        };
        let sid = found["sid"].as_str().ok_or_else(|| malformed("a number without sid"))?;
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
        let response = http.send(&http::post_form(url, authorization(account)?, pairs)).map_err(http::fault_of)?;
        json(&response)?;
        Ok(Binding { warnings: overridden(&found) })
    }

    fn list_numbers(http: &dyn Http, account: &Account, cursor: Option<&str>) -> Result<NumberPage, Fault> {
        let url = match cursor {
            // A cursor is a path that Twilio gave; it must lead back to this account.
            Some(path) if path.starts_with("/2010-04-01/") => format!("https://{}{path}", host(account)),
            Some(_) => return Err(Fault::Other("the cursor is not one of this list's".to_owned())),
            None => format!("{}/IncomingPhoneNumbers.json?PageSize=100", base(account)?),
        };
        let found = fetch(http, account, &url)?;
        let numbers = found["incoming_phone_numbers"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(NumberPage { numbers: numbers.iter().filter_map(phone_number).collect(), next: text(&found["next_page_uri"]) })
    }
}

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
    Ok(format!("{}/Calls/{}.json", base(account)?, form::component(&call.provider_id)))
}

/// An API key where there is one; the account's own token else.
fn authorization(account: &Account) -> Result<Authorization, Fault> {
    let (user, secret) = match account::field(account, API_KEY_SID) {
        Some(key) => (key, API_KEY_SECRET),
        None => (account::required(account, ACCOUNT_SID)?, AUTH_TOKEN),
    };
    Ok(Authorization::Basic(BasicAuthorization {
        user: Credential::Value(user.to_owned()),
        password: Credential::Secret(secret.to_owned()),
    }))
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
    form.extend(["initiated", "ringing", "answered", "completed"].map(|event| ("StatusCallbackEvent", event.to_owned())));
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

fn placed(call: &Value) -> Result<Placed, Fault> {
    let sid = call["sid"].as_str().filter(|sid| !sid.is_empty());
    // An order that was taken and has no name may ring all the same.
    let sid = sid.ok_or_else(|| Fault::UnknownOutcome("Twilio's answer names no call".to_owned()))?;
    let raw = call["status"].as_str().unwrap_or("queued");
    let status = match status(raw) {
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
    let code = error["code"].as_u64().unwrap_or(0);
    let message = error["message"].as_str().unwrap_or("no reason given").to_owned();
    match (response.status, code) {
        (_, 20_429 | 10_004) | (429, _) => Fault::RetryLater(http::retry_after(response)),
        (_, 20_003) | (401, _) => Fault::Account("Twilio refuses the Account SID and token; check both".to_owned()),
        (_, 20_404) | (404, _) => Fault::NotFound,
        (500.., _) => Fault::UnknownOutcome(format!("Twilio answered {}", response.status)),
        _ => Fault::Refused(Refusal { code: if code == 0 { response.status.to_string() } else { code.to_string() }, message }),
    }
}

/// The filter is a pattern, so the number is compared whole.
fn find_number(http: &dyn Http, account: &Account, number: &str) -> Result<Option<Value>, Fault> {
    let url = format!("{}/IncomingPhoneNumbers.json?PhoneNumber={}", base(account)?, form::component(number));
    let found = fetch(http, account, &url)?;
    let numbers = found["incoming_phone_numbers"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(numbers.iter().find(|known| known["phone_number"] == number).cloned())
}

/// What keeps a number's own webhook from being asked.
fn overridden(number: &Value) -> Vec<String> {
    let owners = [("voice_application_sid", "a TwiML application"), ("trunk_sid", "a SIP trunk")];
    let taken = owners.into_iter().filter(|(field, _)| text(&number[*field]).is_some());
    taken
        .map(|(_, owner)| format!("the number belongs to {owner}, which wins over its webhook; remove it in the Twilio console"))
        .collect()
}

fn phone_number(number: &Value) -> Option<PhoneNumber> {
    Some(PhoneNumber {
        number: text(&number["phone_number"])?,
        label: text(&number["friendly_name"]).unwrap_or_default(),
        webhook: text(&number["voice_url"]).unwrap_or_default(),
        extra: Vec::new(),
    })
}

/// Negative text, and null until minutes after the end.
fn cost(call: &Value) -> Option<Money> {
    let price = text(&call["price"])?;
    let amount = price.trim_start_matches('-').to_owned();
    amount.parse::<f64>().ok()?;
    Some(Money { amount, currency: text(&call["price_unit"]).unwrap_or_default() })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Numbers come as text, and may one day come as numbers.
fn number(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| u32::try_from(number).ok()),
    }
}

/// Unix seconds of `Tue, 03 Mar 2026 10:15:00 +0000`.
fn rfc2822(text: &str) -> Option<u64> {
    let mut parts = text.split_whitespace().skip(1);
    let day: u64 = parts.next()?.parse().ok()?;
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let name = parts.next()?;
    let month = u64::try_from(months.iter().position(|month| *month == name)?).ok()? + 1;
    let year: u64 = parts.next()?.parse().ok()?;
    let mut clock = parts.next()?.split(':').map(str::parse::<u64>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    // Days since 1970 by the civil calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = (year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day).checked_sub(719_469)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twilios_dates_are_read() {
        assert_eq!(rfc2822("Thu, 01 Jan 1970 00:00:00 +0000"), Some(0));
        assert_eq!(rfc2822("Tue, 03 Mar 2026 10:15:00 +0000"), Some(1_772_532_900));
        assert_eq!(rfc2822("Thu, 29 Feb 2024 23:59:59 +0000"), Some(1_709_251_199));
        assert_eq!(rfc2822("yesterday"), None);
    }
}
