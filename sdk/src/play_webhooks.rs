//! The webhooks and the order that Plivo designed and others took over: forms with `CallUUID`, `CallStatus` and `Event`.

use serde_json::{Value, json};

use crate::event::{incoming, is_end, status_update};
use crate::form::Form;
use crate::json::decimal;
use crate::number::{caller, digits};
use crate::reply::hook_url;
use crate::types::{
    CallStatus, Event, Fault, Identity, Incoming, Instructions, Money, PlaceRequest, Request, StatusUpdate,
    StreamUpdate,
};

/// In what those who took it over differ.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// A number as the provider writes it, in the contract's form.
    pub number: fn(&str) -> String,
    /// The provider's word for where a call stands; the form may say why it ended.
    pub status: fn(&str, &Form) -> CallStatus,
}

/// An outbound call is known by the name its order got, which a callback repeats; others by their own.
fn call_id(form: &Form) -> Option<&str> {
    let order = form.get("RequestUUID").filter(|_| form.get("Direction") == Some("outbound"));
    order.or(form.get("CallUUID")).or(form.get("RequestUUID"))
}

impl Dialect {
    /// Whose call a webhook is about, if it is about one.
    pub fn identity(&self, request: &Request) -> Option<Identity> {
        let form = Form::of(request);
        call_id(&form)?;
        let account = form.get("AuthID").or(form.get("ParentAuthID"));
        Some(Identity { account: account.map(str::to_owned), called: form.get("To").map(self.number) })
    }

    /// What a webhook says. Hooks: `inbound`, `answer`, `ring`, `hangup`, `stream`.
    ///
    /// # Errors
    /// When it names no call, or says that a new call is not an inbound one.
    pub fn read(&self, request: &Request, hook: &str) -> Result<Vec<Event>, Fault> {
        let form = Form::of(request);
        let call = call_id(&form).ok_or_else(|| Fault::Malformed("CallUUID is missing".to_owned()))?;
        self.event(hook, call, &form).map(|event| vec![event])
    }

    fn event(&self, hook: &str, call: &str, form: &Form) -> Result<Event, Fault> {
        let kind = form.get("Event").unwrap_or_default();
        // The names that the documentation and the wire have for what a stream does.
        if hook == "stream" || kind.ends_with("Stream") || kind == "ClearedAudio" {
            let (provider_id, what) = (call.to_owned(), kind.to_owned());
            let extra = form.told(|name| matches!(name, "StreamID" | "Reason"));
            return Ok(Event::Stream(StreamUpdate { provider_id, what, extra }));
        }
        let raw = form.get("CallStatus").unwrap_or_default();
        let over = kind == "Hangup" || is_end(&(self.status)(raw, form));
        Ok(match hook {
            "inbound" if !over && kind != "Ring" => Event::Incoming(self.incoming(call, form)?),
            "answer" if !over => {
                Event::Instructions(Instructions { provider_id: call.to_owned(), answered_by: None, extra: Vec::new() })
            }
            _ if raw.is_empty() && kind.is_empty() => Event::Ignored("no CallStatus".to_owned()),
            _ => Event::Status(self.status_update(call, raw, form)),
        })
    }

    fn incoming(&self, call: &str, form: &Form) -> Result<Incoming, Fault> {
        let direction = form.get("Direction").unwrap_or("inbound");
        if direction != "inbound" {
            return Err(Fault::Malformed(format!("Direction is {direction}, not inbound")));
        }
        let from = caller(form.get("From").unwrap_or_default(), self.number);
        let to = (self.number)(form.get("To").unwrap_or_default());
        let shown = ["ForwardedFrom", "StirVerification", "STIRAttestation", "STIRVerification"];
        Ok(Incoming {
            caller_name: form.get("CallerName").unwrap_or_default().to_owned(),
            extra: form.told(|name| shown.contains(&name)),
            ..incoming(call, from, to)
        })
    }

    fn status_update(&self, call: &str, raw: &str, form: &Form) -> StatusUpdate {
        let raw = if raw.is_empty() { form.get("Event").unwrap_or_default() } else { raw };
        let amount = form.get("TotalCost").and_then(|cost| decimal(&cost.into()));
        let shown = ["BillDuration", "HangupCauseCode", "HangupCauseName", "HangupSource"];
        StatusUpdate {
            duration: form.get("Duration").and_then(|seconds| seconds.parse().ok()),
            // The account's currency is not said here; `inspect` asks for it.
            cost: amount.map(|amount| Money { amount, currency: String::new() }),
            cause: form.get("HangupCause").map(str::to_owned),
            extra: form.told(|name| shown.contains(&name)),
            ..status_update(call, (self.status)(raw, form), raw)
        }
    }
}

/// The order for one call.
///
/// # Errors
/// When the destination is more than one: a `<` would part them.
pub fn order(request: &PlaceRequest) -> Result<Value, Fault> {
    if request.call.to.contains('<') {
        return Err(Fault::Unsupported("one call has one destination".to_owned()));
    }
    let hook = |name: &str| hook_url(&request.hooks, name);
    Ok(json!({
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
    }))
}

/// Where an application is to send its calls, as its fields.
pub fn hooks(webhook: &str) -> Value {
    json!({ "answer_url": webhook, "answer_method": "POST", "hangup_url": webhook, "hangup_method": "POST" })
}
