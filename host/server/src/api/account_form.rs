//! The form of an account: what was sent, against what the plugin describes, over what is stored.

use std::collections::BTreeMap;

use jackfield_plugins::types::{Field, FieldKind, Provider};
use jackfield_store::{Configuration, Secret, mask};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value, json};

const LONGEST: usize = 4_096;
const LONGEST_MULTILINE: usize = 16_384;

/// What was sent: each field once. An empty or null value stands for none.
#[derive(Debug, Default)]
pub(crate) struct Sent(BTreeMap<String, Value>);

/// One field that cannot stay as it is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Wrong {
    pub(crate) field: String,
    /// What to put there instead.
    pub(crate) message: String,
}

/// The values of an account, the secret ones apart.
#[derive(Debug, Default)]
pub(crate) struct Filled {
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) secrets: BTreeMap<String, Secret>,
}

/// Checks a form. Masks stand for what is stored.
pub(crate) fn fill(provider: &Provider, sent: &Sent, stored: Option<&Configuration>) -> Result<Filled, Vec<Wrong>> {
    let mut filled = Filled::default();
    let mut wrong = unknown(provider, sent);
    for field in &provider.fields {
        match value(field, sent.0.get(&field.name), stored) {
            Ok(Some(value)) if field.secret => drop(filled.secrets.insert(field.name.clone(), Secret::from(value))),
            Ok(Some(value)) => drop(filled.fields.insert(field.name.clone(), value)),
            Ok(None) if field.required => wrong.push(Wrong::new(field, "is required")),
            Ok(None) => {}
            Err(message) => wrong.push(Wrong::new(field, &message)),
        }
    }
    if wrong.is_empty() { Ok(filled) } else { Err(wrong) }
}

/// What people see of an account. Without its plugin nobody knows what to show, so all is masked.
pub(crate) fn shown(provider: Option<&Provider>, configuration: &Configuration) -> Value {
    let open = |name: &str| {
        let described = provider.and_then(|provider| provider.fields.iter().find(|field| field.name == name));
        described.is_some_and(|field| !field.masked && !field.secret)
    };
    let mut values = Map::new();
    for (name, value) in &configuration.fields {
        let value = if open(name) { value.clone() } else { mask::mask(value) };
        values.insert(name.clone(), json!(value));
    }
    for (name, secret) in &configuration.secrets {
        values.insert(name.clone(), json!(mask::mask(secret.expose())));
    }
    Value::Object(values)
}

impl Wrong {
    fn new(field: &Field, message: &str) -> Self {
        Self { field: field.name.clone(), message: message.to_owned() }
    }
}

fn unknown(provider: &Provider, sent: &Sent) -> Vec<Wrong> {
    let names: Vec<&str> = provider.fields.iter().map(|field| field.name.as_str()).collect();
    let unknown = sent.0.keys().filter(|name| !names.contains(&name.as_str()));
    let message = format!("is no field of {}; it has {}", provider.display_name, names.join(", "));
    unknown.map(|name| Wrong { field: name.clone(), message: message.clone() }).collect()
}

/// The value a field shall have.
fn value(field: &Field, sent: Option<&Value>, stored: Option<&Configuration>) -> Result<Option<String>, String> {
    let stored = stored.and_then(|stored| {
        let secret = stored.secrets.get(&field.name).map(Secret::expose);
        secret.or_else(|| stored.fields.get(&field.name).map(String::as_str))
    });
    let Some(text) = text(field, sent)? else {
        return match field.kind {
            // People do not fill it in, so they do not empty it either.
            FieldKind::ReadOnly => Ok(stored.map(str::to_owned)),
            _ => Ok(field.default.clone()),
        };
    };
    let kept = if field.secret || field.masked {
        mask::merge(&text, stored).map_err(|error| error.to_string())?
    } else {
        &text
    };
    if Some(kept) == stored {
        return Ok(Some(kept.to_owned()));
    }
    fits(field, kept)?;
    Ok(Some(kept.to_owned()))
}

fn text(field: &Field, sent: Option<&Value>) -> Result<Option<String>, String> {
    let text = match sent {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(flag)) => flag.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Array(_) | Value::Object(_)) => return Err("is a text, a number, or true or false".to_owned()),
    };
    // What is pasted brings blanks along.
    let text = if matches!(field.kind, FieldKind::Multiline) { text } else { text.trim().to_owned() };
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn fits(field: &Field, text: &str) -> Result<(), String> {
    let multiline = matches!(field.kind, FieldKind::Multiline);
    let longest = if multiline { LONGEST_MULTILINE } else { LONGEST };
    if text.len() > longest {
        return Err(format!("has at most {longest} bytes"));
    }
    if text.chars().any(|c| c.is_control() && !(multiline && matches!(c, '\n' | '\r' | '\t'))) {
        return Err("has no control characters".to_owned());
    }
    match field.kind {
        FieldKind::Boolean if !matches!(text, "true" | "false") => Err("is true or false".to_owned()),
        FieldKind::Number if text.parse::<f64>().is_err() => Err("is a number".to_owned()),
        FieldKind::Choice if !field.options.iter().any(|(option, _)| option == text) => {
            let options: Vec<&str> = field.options.iter().map(|(option, _)| option.as_str()).collect();
            Err(format!("is one of {}", options.join(", ")))
        }
        FieldKind::ReadOnly => Err("is not for people to fill in; leave it as it was shown".to_owned()),
        _ => Ok(()),
    }
}

impl<'de> Deserialize<'de> for Sent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Sent;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object with the account's fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sent, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if fields.insert(name.clone(), value).is_some() {
                        return Err(A::Error::custom(format!("the field `{name}` is there twice")));
                    }
                }
                Ok(Sent(fields))
            }
        }
        deserializer.deserialize_map(Once)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const TOKEN: &str = "9f3c1b7ad24e48d0a5c6e1f2b3a49587";
    const SID: &str = "AC00112233445566778899aabbccddeeff";

    fn field(name: &str, kind: FieldKind) -> Field {
        Field {
            name: name.to_owned(),
            label: String::new(),
            kind,
            secret: false,
            masked: false,
            required: false,
            help: String::new(),
            placeholder: String::new(),
            options: vec![("eu".to_owned(), "Europe".to_owned()), ("us".to_owned(), "America".to_owned())],
            default: None,
        }
    }

    fn provider() -> Provider {
        Provider {
            name: "acme".to_owned(),
            display_name: "Acme".to_owned(),
            version: "1".to_owned(),
            docs_url: String::new(),
            fields: vec![
                Field { masked: true, required: true, ..field("sid", FieldKind::Text) },
                Field { secret: true, masked: true, required: true, ..field("token", FieldKind::Password) },
                Field { default: Some("false".to_owned()), ..field("detect", FieldKind::Boolean) },
                field("region", FieldKind::Choice),
                field("port", FieldKind::Number),
                field("shown", FieldKind::ReadOnly),
                Field { secret: true, ..field("pem", FieldKind::Multiline) },
            ],
            identifying_field: None,
            abilities: vec![],
            hosts: vec![],
            media: None,
            sign_in: None,
            extra: vec![],
        }
    }

    fn sent(fields: Value) -> Sent {
        serde_json::from_value(fields).unwrap()
    }

    fn stored() -> Configuration {
        Configuration {
            id: "cfg".to_owned(),
            name: "n".to_owned(),
            provider: "acme".to_owned(),
            fields: [("sid", SID), ("shown", "given")].map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            secrets: [("token".to_owned(), Secret::from(TOKEN.to_owned()))].into(),
            organization_id: "org_default".to_owned(),
            previous: BTreeMap::new(),
            is_default: false,
            max_calls: None,
            calls_per_second: None,
            created_at: 0,
            updated_at: 0,
        }
    }

    fn wrong(fields: Value, stored: Option<&Configuration>) -> Vec<String> {
        let wrong = fill(&provider(), &sent(fields), stored).unwrap_err();
        wrong.into_iter().map(|wrong| wrong.field).collect()
    }

    #[test]
    fn secrets_are_kept_apart_blanks_are_cut_off_and_defaults_filled_in() {
        let form = json!({ "sid": format!(" {SID}\n"), "token": TOKEN, "port": 5060, "region": "", "pem": null });
        let filled = fill(&provider(), &sent(form), None).unwrap();
        assert_eq!(filled.secrets["token"].expose(), TOKEN);
        let fields: Vec<_> = filled.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(fields, [("detect", "false"), ("port", "5060"), ("sid", SID)]);
    }

    #[test]
    fn every_field_that_is_wrong_is_named_at_once() {
        let form =
            json!({ "detect": "maybe", "region": "mars", "port": "x", "shown": "made up", "more": 1, "pem": [] });
        let named = wrong(form, None);
        assert_eq!(named, ["more", "sid", "token", "detect", "region", "port", "shown", "pem"]);
        assert_eq!(wrong(json!({ "sid": "a\r\nb", "token": "x".repeat(5_000) }), None), ["sid", "token"]);
    }

    #[test]
    fn what_is_shown_can_be_sent_back_and_changes_nothing() {
        let (provider, stored) = (provider(), stored());
        let form = shown(Some(&provider), &stored);
        assert!(!form.to_string().contains(TOKEN) && !form.to_string().contains(SID));
        assert_eq!(form["shown"], "given");
        let filled = fill(&provider, &sent(form), Some(&stored)).unwrap();
        assert_eq!(filled.secrets["token"].expose(), TOKEN);
        assert_eq!((filled.fields["sid"].as_str(), filled.fields["shown"].as_str()), (SID, "given"));
    }

    #[test]
    fn a_mask_that_is_not_the_stored_values_is_refused() {
        let (token, sid) = ("********0000", mask::mask(SID));
        assert_eq!(wrong(json!({ "sid": sid, "token": token }), Some(&stored())), ["token"]);
        assert_eq!(wrong(json!({ "sid": sid, "token": TOKEN }), None), ["sid"]);
    }

    #[test]
    fn without_its_plugin_nothing_of_an_account_is_shown() {
        assert!(!shown(None, &stored()).to_string().contains("given"));
    }

    #[test]
    fn a_field_that_is_sent_twice_is_refused() {
        assert!(serde_json::from_str::<Sent>(r#"{"token":"a","token":"b"}"#).is_err());
    }
}
