//! Turns a case into calls, and the results into one answer.

use serde_json::{Map, Value, json};

use crate::case::Case;
use crate::script::Script;
use crate::subject::{Arguments, Instance, Interface, Subject};

/// What a question may bring along.
const KNOWN: [&str; 15] = [
    "call", "request", "since", "action", "step", "number", "webhook", "cursor", "steps", "message", "person", "order",
    "url", "id", "text",
];

/// What the subject answers to this case.
pub(crate) fn ask(case: &Case, subject: &dyn Subject) -> Result<Value, String> {
    let script = Script::new(case.exchanges.clone());
    let instance = |interface| subject.instance(interface, &script);
    let answer = match case.question() {
        "webhook" => webhook(case, &mut *instance(Interface::Webhooks)?)?,
        "check" => instance(Interface::Manifest)?.call("check", arguments(case, [])?)?,
        "reply" => {
            let call = case.arguments().get("call").map_or(Value::Null, |_| call(case));
            instance(Interface::Webhooks)?.call("reply", arguments(case, [("call", call)])?)?
        }
        "locate" => instance(Interface::Socket)?.call("locate", arguments(case, [])?)?,
        "message" => instance(Interface::Socket)?.call("read", arguments(case, [("message", message(case))])?)?,
        "desk_calls" => instance(Interface::Desk)?.call("calls", arguments(case, [])?)?,
        "desk_history" => instance(Interface::Desk)?.call("history", arguments(case, [])?)?,
        "desk_order" => instance(Interface::Desk)?.call("carry_out", arguments(case, [])?)?,
        "desk_watch" => instance(Interface::Desk)?.call("watch", arguments(case, [])?)?,
        "chat_fetch" => instance(Interface::Chat)?.call("fetch", arguments(case, [])?)?,
        "chat_send" => instance(Interface::Chat)?.call("send", arguments(case, [])?)?,
        "chat_listen" => instance(Interface::Chat)?.call("listen", arguments(case, [])?)?,
        "proceed" => {
            let call = case.arguments().get("call").map_or(Value::Null, |_| call(case));
            instance(Interface::Calls)?.call("proceed", arguments(case, [("call", call)])?)?
        }
        "media" => media(case, &mut *instance(Interface::Media)?)?,
        function @ ("place" | "find_placed") => {
            instance(Interface::Calls)?.call(function, arguments(case, [("request", place(case))])?)?
        }
        function => instance(Interface::Calls)?.call(function, arguments(case, [("call", call(case))])?)?,
    };
    script.finish()?;
    Ok(answer)
}

fn webhook(case: &Case, instance: &mut dyn Instance) -> Result<Value, String> {
    let identity = instance.call("identify", about(case, json!({})))?;
    let proof = instance.call("authenticate", about(case, json!({ "secrets": case.secrets })))?;
    let events = instance.call("read", about(case, json!({ "hook": case.hook })))?;
    Ok(json!({ "identify": identity, "proof": proof["proof"], "replay_key": proof["replay_key"], "read": events }))
}

/// The subject's word on whether a webhook is genuine.
pub(crate) fn prove(case: &Case, subject: &dyn Subject) -> Result<Value, String> {
    let mut instance = subject.instance(Interface::Webhooks, &Script::new(Vec::new()))?;
    let proof = instance.call("authenticate", about(case, json!({ "secrets": case.secrets })))?;
    Ok(proof["proof"].clone())
}

/// A webhook, with more beside it.
fn about(case: &Case, more: Value) -> Arguments {
    let mut all = json!({ "account": case.account, "request": case.arguments(), "now": case.now });
    if let (Some(all), Value::Object(more)) = (all.as_object_mut(), more) {
        all.extend(more);
    }
    entries(all)
}

/// A stream from its opening on: each step is a message of the provider (`text`, `binary`) or a command of the host.
fn media(case: &Case, instance: &mut dyn Instance) -> Result<Value, String> {
    let open = instance.call("open", arguments(case, [("call", call(case))])?)?;
    let steps = case.arguments()["steps"].as_array().ok_or("media needs `steps`")?;
    let answers = steps.iter().map(|step| media_step(instance, step)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "open": open, "steps": answers }))
}

/// What came on the socket: text as it is, anything else as JSON.
fn message(case: &Case) -> Value {
    let message = &case.arguments()["message"];
    message.as_str().map_or_else(|| message.to_string(), str::to_owned).into()
}

fn media_step(instance: &mut dyn Instance, step: &Value) -> Result<Value, String> {
    if let Some(text) = step.get("text") {
        let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
        return instance.call("decode", entries(json!({ "message": { "Text": text } })));
    }
    if let Some(binary) = step.get("binary") {
        return instance.call("decode", entries(json!({ "message": { "Binary": binary } })));
    }
    instance.call("encode", entries(json!({ "command": step })))
}

/// The question's own arguments, the account and the time, and these in the place of what they are templates for.
fn arguments<const N: usize>(case: &Case, filled: [(&str, Value); N]) -> Result<Arguments, String> {
    let given = case.arguments().as_object().ok_or("a question's arguments are an object")?;
    if let Some(stranger) = given.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(format!("no question has `{stranger}`"));
    }
    let mut all = given.clone();
    all.insert("account".to_owned(), case.account.clone());
    all.insert("now".to_owned(), case.now.into());
    all.extend(filled.into_iter().map(|(name, value)| (name.to_owned(), value)));
    Ok(Arguments::written(all))
}

fn entries(value: Value) -> Arguments {
    match value {
        Value::Object(entries) => Arguments::written(entries),
        _ => Arguments::written(Map::new()),
    }
}

fn call(case: &Case) -> Value {
    over(&call_template(), case.arguments().get("call").unwrap_or(&Value::Null))
}

fn call_template() -> Value {
    json!({ "id": "call_1", "provider_id": "", "direction": "Outbound", "from": "", "to": "", "memo": [], "extra": [] })
}

fn place(case: &Case) -> Value {
    let template = json!({
        "call": call_template(),
        "stream": { "url": "wss://gw.example.net/ws/token", "hooks": "", "parameters": [] },
        "hooks": "https://gw.example.net/cb/{hook}/call_1",
        "ring_timeout": 30,
        "max_duration": 3600,
        "extra": [],
    });
    over(&template, case.arguments().get("request").unwrap_or(&Value::Null))
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
