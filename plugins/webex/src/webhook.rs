//! Webhooks at Webex, kept as they should be: one, active, and ours.

use jackfield_sdk::form::component;
use jackfield_sdk::json::text;
use jackfield_sdk::rest::{Rest, items};
use jackfield_sdk::types::{Authorization, Credential, Fault, HeaderAuthorization};
use serde_json::{Value, json};

use crate::config::{API, WEBHOOK_SECRET};

/// By this name ours are known, whatever they point at.
const NAME: &str = "jackfield";

/// Keeps exactly one webhook, to `url`, or none. Webex switches one off after failures; that one is switched on again.
pub(crate) fn keep(webex: &Rest<'_>, resource: &str, event: &str, url: Option<&str>) -> Result<(), Fault> {
    let all = format!("{API}/webhooks");
    let found = webex.get(&format!("{all}?max=100"))?;
    let ours = items(&found, "items").iter().filter(|hook| hook["name"] == NAME && hook["resource"] == resource);
    let mut kept = false;
    for hook in ours {
        let Some(id) = text(&hook["id"]) else { continue };
        let one = format!("{all}/{}", component(id));
        match url {
            Some(url) if !kept && hook["targetUrl"] == url => {
                kept = true;
                if hook["status"] != "active" {
                    let mended = json!({ "name": NAME, "targetUrl": url, "status": "active" });
                    with_secret(webex).change("PUT", &one, Some(&mended))?;
                }
            }
            _ => webex.end("DELETE", &one, None)?,
        }
    }
    match url {
        Some(url) if !kept => {
            let wanted = json!({ "name": NAME, "targetUrl": url, "resource": resource, "event": event });
            made(with_secret(webex).once("POST", &all, Some(&wanted)))
        }
        _ => Ok(()),
    }
}

/// The host puts the secret into the body.
fn with_secret<'a>(webex: &Rest<'a>) -> Rest<'a> {
    let value = Credential::Secret(WEBHOOK_SECRET.to_owned());
    webex.with(Authorization::Member(HeaderAuthorization { name: "secret".to_owned(), value }))
}

/// One that is there already was made by somebody who was faster, with the same in it.
fn made(outcome: Result<Value, Fault>) -> Result<(), Fault> {
    match outcome {
        Err(Fault::Refused(refusal)) if refusal.code == "409" => Ok(()),
        other => other.map(|_| ()),
    }
}
