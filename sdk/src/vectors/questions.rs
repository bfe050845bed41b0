//! Asks a plugin what a case asks.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::case::Case;
use super::script::Script;
use super::{fit, holds};
use crate::types::{Call, Disproof, Message, Request};
use crate::{Calls, Manifest, Media, Webhooks};

pub(super) const CALLS: [&str; 9] =
    ["probe", "place", "find_placed", "answer", "hang_up", "inspect", "transfer", "bind_number", "list_numbers"];

fn shown(value: impl Serialize) -> Result<Value, String> {
    serde_json::to_value(value).map_err(|why| why.to_string())
}

pub(super) fn check<P: Manifest>(case: &Case) -> Result<Value, String> {
    shown(P::check(&case.account))
}

pub(super) fn webhook<P: Webhooks>(case: &Case) -> Result<Value, String> {
    let request = case.request()?;
    let (proof, replay_key) = proof::<P>(case, request);
    Ok(json!({
        "identify": P::identify(request),
        "proof": proof,
        "replay_key": replay_key,
        "read": P::read(&case.account, request, &case.hook),
    }))
}

fn proof<P: Webhooks>(case: &Case, request: &Request) -> (&'static str, Option<String>) {
    match P::authenticate(&case.account, request, case.now) {
        Ok(proof) if holds(&proof, &case.secrets) => ("holds", proof.replay_key),
        Ok(proof) => ("fails", proof.replay_key),
        Err(Disproof::Unsigned) => ("unsigned", None),
        Err(Disproof::Malformed(_)) => ("malformed", None),
        Err(Disproof::Other(_)) => ("other", None),
    }
}

pub(super) fn reply<P: Webhooks>(case: &Case) -> Result<Value, String> {
    let arguments = Arguments::of(case, &["action", "call"])?;
    let call = arguments.0.get("call").map(|_| arguments.call()).transpose()?;
    shown(P::reply(&case.account, call.as_ref(), &arguments.take("action")?))
}

pub(super) fn calls<P: Calls>(case: &Case) -> Result<Value, String> {
    let script = Script::new(&case.exchanges);
    let answer = call_function::<P>(case, &script)?;
    script.finish()?;
    Ok(answer)
}

fn call_function<P: Calls>(case: &Case, http: &Script<'_>) -> Result<Value, String> {
    let account = &case.account;
    let known = ["call", "request", "since", "action", "step", "number", "webhook", "cursor"];
    let given = Arguments::of(case, &known)?;
    let text = |name: &str| given.0.get(name).and_then(Value::as_str);
    match case.question() {
        "probe" => shown(P::probe(http, account)),
        "place" => shown(P::place(http, account, &given.place()?, case.now)),
        "find_placed" => shown(P::find_placed(http, account, &given.place()?, given.take("since")?)),
        "answer" => shown(P::answer(http, account, &given.call()?, &given.take("action")?)),
        "hang_up" => shown(P::hang_up(http, account, &given.call()?)),
        "inspect" => shown(P::inspect(http, account, &given.call()?)),
        "transfer" => shown(P::transfer(http, account, &given.call()?, &given.take("step")?)),
        "bind_number" => shown(P::bind_number(http, account, text("number").unwrap_or_default(), text("webhook"))),
        "list_numbers" => shown(P::list_numbers(http, account, text("cursor"))),
        other => Err(format!("calls has no function `{other}`")),
    }
}

/// A stream from its opening on: each step is a message of the provider (`text`, `binary`) or a command of the host.
pub(super) fn media<P: Media>(case: &Case) -> Result<Value, String> {
    let given = Arguments::of(case, &["call", "steps"])?;
    let mut stream = P::default();
    let open = shown(stream.open(&case.account, &given.call()?))?;
    let steps = given.0["steps"].as_array().ok_or("media needs `steps`")?;
    let answers = steps.iter().map(|step| media_step(&mut stream, step)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "open": open, "steps": answers }))
}

fn media_step<P: Media>(stream: &mut P, step: &Value) -> Result<Value, String> {
    if let Some(text) = step.get("text") {
        let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
        return shown(stream.decode(Message::Text(text)));
    }
    if let Some(binary) = step.get("binary") {
        return shown(stream.decode(Message::Binary(take(binary)?)));
    }
    shown(stream.encode(take(step)?))
}

/// What a question brings along.
struct Arguments<'a>(&'a Value);

impl<'a> Arguments<'a> {
    fn of(case: &'a Case, known: &[&str]) -> Result<Self, String> {
        let given = case.arguments().as_object().ok_or("a question's arguments are an object")?;
        let stranger = given.keys().find(|name| !known.contains(&name.as_str()));
        stranger.map_or_else(|| Ok(Self(case.arguments())), |name| Err(format!("no question has `{name}`")))
    }

    fn take<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<T, String> {
        take(self.0.get(name).ok_or_else(|| format!("`{name}` is missing"))?)
    }

    fn call(&self) -> Result<Call, String> {
        take(&over(&call_template(), self.0.get("call").unwrap_or(&Value::Null)))
    }

    fn place(&self) -> Result<crate::types::PlaceRequest, String> {
        let template = json!({
            "call": call_template(),
            "stream": { "url": "wss://gw.example.net/ws/token", "hooks": "", "parameters": [] },
            "hooks": "https://gw.example.net/cb/{hook}/call_1",
            "ring_timeout": 30,
            "max_duration": 3600,
            "extra": [],
        });
        take(&over(&template, self.0.get("request").unwrap_or(&Value::Null)))
    }
}

fn call_template() -> Value {
    json!({ "id": "call_1", "provider_id": "", "direction": "Outbound", "from": "", "to": "", "memo": [], "extra": [] })
}

fn take<T: for<'de> Deserialize<'de>>(value: &Value) -> Result<T, String> {
    serde_json::from_value(fit::raw(value)?).map_err(|why| format!("{value}: {why}"))
}

/// A template with what a case says in its place.
fn over(template: &Value, said: &Value) -> Value {
    match (template, said) {
        (Value::Object(template), Value::Object(said)) => {
            let names = template.keys().chain(said.keys().filter(|name| !template.contains_key(*name)));
            let merged = |name: &String| match (template.get(name), said.get(name)) {
                (Some(template), Some(said)) => over(template, said),
                (known, new) => new.or(known).cloned().unwrap_or_default(),
            };
            names.map(|name| (name.clone(), merged(name))).collect()
        }
        (template, Value::Null) => template.clone(),
        (_, said) => said.clone(),
    }
}
