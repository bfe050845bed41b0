//! Cloudonix's REST API. An order carries its answer along, so nobody is asked when the callee picks up.

use jackfield_sdk::form::component;
use jackfield_sdk::http::Http;
use jackfield_sdk::json::{number, text};
use jackfield_sdk::number::canonical;
use jackfield_sdk::reply::hook_url;
use jackfield_sdk::rest::{Rest, bound, inspected, progress};
use jackfield_sdk::types::{
    Account, Action, Authorization, Binding, Call, ConferenceAction, Credential, Fault, Inspection, NumberPage,
    PhoneNumber, PlaceRequest, Placed, TransferProgress, TransferStep,
};
use jackfield_sdk::{Calls, account};
use serde_json::{Value, json};

use crate::Cloudonix;
use crate::config::{APPLICATION_NAME, BEARER_TOKEN, DOMAIN_ID, TRUNK};
use crate::event::status;
use crate::render;

/// One domain's API.
struct Api<'a> {
    rest: Rest<'a>,
    domain: String,
}

fn api<'a>(http: &'a dyn Http, account: &Account) -> Result<Api<'a>, Fault> {
    let bearer = Authorization::Bearer(Credential::Secret(BEARER_TOKEN.to_owned()));
    let domain = component(account::required(account, DOMAIN_ID)?);
    Ok(Api { rest: Rest::new(http, "Cloudonix", vec![bearer]), domain })
}

impl Api<'_> {
    fn url(&self, path: &str) -> String {
        format!("https://api.cloudonix.io/customers/self/domains/{}{path}", self.domain)
    }

    fn session(&self, call: &Call) -> Result<String, Fault> {
        Ok(self.url(&format!("/sessions/{}", self.rest.name_of(call)?)))
    }
}

impl Calls for Cloudonix {
    fn probe(http: &dyn Http, account: &Account) -> Result<(), Fault> {
        let api = api(http, account)?;
        api.rest.get(&api.url("")).map(|_| ())
    }

    fn place(http: &dyn Http, account: &Account, request: &PlaceRequest, _now: u64) -> Result<Placed, Fault> {
        let api = api(http, account)?;
        let answer = render::cxml(&Action::Stream(request.stream.clone()))?.document();
        let mut order = json!({
            "destination": request.call.to,
            "caller-id": request.call.from,
            "cxml": String::from_utf8_lossy(&answer),
            "callback": hook_url(&request.hooks, "status"),
            "timeout": request.ring_timeout.clamp(1, 600),
            "timeLimit": request.max_duration.clamp(1, 86_400),
        });
        if let Some(trunk) = account::field(account, TRUNK) {
            order["trunk"] = json!(trunk);
        }
        let url = format!("https://api.cloudonix.io/calls/{}/application", api.domain);
        let answer = api.rest.order(&url, &order)?;
        api.rest.placed(&answer["token"])
    }

    /// Sessions that are up are listed. UNVERIFIED.
    fn find_placed(
        http: &dyn Http,
        account: &Account,
        request: &PlaceRequest,
        since: u64,
    ) -> Result<Option<Placed>, Fault> {
        let api = api(http, account)?;
        let found = api.rest.get(&api.url("/sessions"))?;
        let is = |said: &Value, wanted: &str| text(said).is_some_and(|said| canonical(said) == wanted);
        let ours = |session: &&Value| {
            is(&session["destination"], &request.call.to)
                && is(&session["callerId"], &request.call.from)
                && number(&session["callStartTime"]).is_none_or(|began| began + CLOCKS_DIFFER >= since)
        };
        let session = found.as_array().into_iter().flatten().find(ours);
        session.map(|session| api.rest.placed(&session["token"])).transpose()
    }

    fn hang_up(http: &dyn Http, account: &Account, call: &Call) -> Result<(), Fault> {
        let api = api(http, account)?;
        api.rest.end("DELETE", &api.session(call)?, None)
    }

    /// What a call cost is told by its record alone, which is posted and cannot be asked for.
    fn inspect(http: &dyn Http, account: &Account, call: &Call) -> Result<Inspection, Fault> {
        let api = api(http, account)?;
        let found = api.rest.get(&api.session(call)?)?;
        let raw = text(&found["status"]).unwrap_or_default();
        let time = |names: [&str; 2]| names.into_iter().find_map(|name| number(&found[name]).filter(|time| *time > 0));
        let talked = time(["callAnswerTime", "answerTime"]).zip(time(["callEndTime", "endTime"]));
        let seconds = talked.map(|(answered, ended)| ended.saturating_sub(answered) / 1_000);
        Ok(Inspection {
            duration: seconds.and_then(|seconds| u32::try_from(seconds).ok()),
            ..inspected(status(raw), raw)
        })
    }

    /// Whoever picks up is told by the session's own updates.
    fn transfer(
        http: &dyn Http,
        account: &Account,
        call: &Call,
        step: &TransferStep,
    ) -> Result<TransferProgress, Fault> {
        let api = api(http, account)?;
        let calls = format!("https://api.cloudonix.io/calls/{}", api.domain);
        match step {
            TransferStep::Dial(dial) => {
                let mut order = json!({
                    "destination": dial.to,
                    "caller-id": dial.from,
                    "cxml": meeting(&dial.conference, &dial.announcement)?,
                    "callback": hook_url(&dial.hooks, "transfer"),
                    "timeout": dial.ring_timeout.clamp(1, 600),
                });
                if let Some(trunk) = account::field(account, TRUNK) {
                    order["trunk"] = json!(trunk);
                }
                let placed = api.rest.placed(&api.rest.order(&format!("{calls}/application"), &order)?["token"])?;
                Ok(progress(Some(placed.provider_id)))
            }
            TransferStep::Join(join) => {
                let url = format!("{calls}/sessions/{}/application", api.rest.name_of(call)?);
                let order = json!({ "cxml": meeting(&join.conference, "")? });
                api.rest.change("POST", &url, Some(&order)).map(|_| progress(None))
            }
            TransferStep::Cancel(leg) => api
                .rest
                .end("DELETE", &api.url(&format!("/sessions/{}", component(leg))), None)
                .map(|()| progress(None)),
            TransferStep::Other(what) => Err(Fault::Unsupported(what.clone())),
        }
    }

    fn bind_number(http: &dyn Http, account: &Account, number: &str, webhook: Option<&str>) -> Result<Binding, Fault> {
        // The application is shared by its numbers: clearing one would silence the others.
        let Some(webhook) = webhook.filter(|_| number.starts_with('+')) else {
            return Ok(bound());
        };
        let api = api(http, account)?;
        let application = account::required(account, APPLICATION_NAME)?;
        let url = api.url(&format!("/applications/{}", component(application)));
        let hook = json!({ "url": webhook, "method": "POST" });
        match api.rest.change("PATCH", &url, Some(&hook)) {
            // The newer description of the API knows only the whole replacement.
            Err(Fault::Refused(refusal)) if refusal.code == "405" => {
                api.rest.change("PUT", &url, Some(&json!({ "type": "cxml", "url": webhook, "method": "POST" })))?;
            }
            outcome => drop(outcome?),
        }
        let numbers = api.rest.get(&api.url("/dnids"))?;
        let known = numbers.as_array().into_iter().flatten().any(|dnid| is_number(dnid, number));
        let lacks = format!("the domain has no such number; attach it to the application {application} in Cloudonix");
        Ok(Binding { warnings: if known { Vec::new() } else { vec![lacks] } })
    }

    fn list_numbers(http: &dyn Http, account: &Account, _cursor: Option<&str>) -> Result<NumberPage, Fault> {
        let api = api(http, account)?;
        let found = api.rest.get(&api.url("/dnids"))?;
        let numbers = found.as_array().into_iter().flatten().filter_map(phone_number).collect();
        Ok(NumberPage { numbers, next: None })
    }
}

/// The room in which both legs meet. Whoever leaves it ends it.
fn meeting(conference: &str, announcement: &str) -> Result<String, Fault> {
    let action = Action::Conference(ConferenceAction {
        name: conference.to_owned(),
        announcement: announcement.to_owned(),
        end_on_exit: true,
    });
    Ok(String::from_utf8_lossy(&render::cxml(&action)?.document()).into_owned())
}

/// Milliseconds by which Cloudonix's clock may be behind the host's.
const CLOCKS_DIFFER: u64 = 5_000;

/// A number is stored as it is, or as an expression that matches it alone.
fn is_number(dnid: &Value, number: &str) -> bool {
    let plain = |said: &str| canonical(&said.replace(['\\', '^', '$'], "")) == number;
    ["source", "dnid"].into_iter().any(|name| text(&dnid[name]).is_some_and(plain))
}

fn phone_number(dnid: &Value) -> Option<PhoneNumber> {
    let application = &dnid["application"];
    Some(PhoneNumber {
        number: canonical(text(&dnid["source"]).or(text(&dnid["dnid"]))?),
        label: text(&application["name"]).unwrap_or_default().to_owned(),
        webhook: text(&application["url"]).unwrap_or_default().to_owned(),
        extra: Vec::new(),
    })
}
