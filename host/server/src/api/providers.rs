//! What accounts with providers are made of: the forms that plugins describe.

use axum::extract::State;
use jackfield_plugins::types::{Ability, Codec, Field, FieldKind, MediaFormat, Provider};
use serde_json::{Value, json};

use super::page::whole;
use crate::App;

/// One form for each plugin that serves.
pub(crate) async fn list(State(app): State<App>) -> axum::Json<Value> {
    whole(app.plugins.serving().iter().map(|generation| show(generation.describe())).collect())
}

fn show(provider: &Provider) -> Value {
    json!({
        "provider": provider.name,
        "display_name": provider.display_name,
        "version": provider.version,
        "docs_url": provider.docs_url,
        "fields": provider.fields.iter().map(show_field).collect::<Vec<_>>(),
        "identifying_field": provider.identifying_field,
        "abilities": provider.abilities.iter().map(|ability| name_of(*ability)).collect::<Vec<_>>(),
        "hosts": provider.hosts,
        "media": provider.media.as_ref().map(show_format),
    })
}

fn show_field(field: &Field) -> Value {
    let options: Vec<Value> =
        field.options.iter().map(|(value, label)| json!({ "value": value, "label": label })).collect();
    json!({
        "name": field.name,
        "label": field.label,
        "type": kind_of(&field.kind),
        "secret": field.secret,
        "sensitive": field.secret || field.masked,
        "required": field.required,
        "help": field.help,
        "placeholder": field.placeholder,
        "options": options,
        "default": field.default,
    })
}

fn show_format(format: &MediaFormat) -> Value {
    let codec = match &format.codec {
        Codec::Pcmu => "pcmu",
        Codec::Pcma => "pcma",
        Codec::L16 => "l16",
        Codec::L16Be => "l16-be",
        Codec::Other(name) => name,
    };
    json!({ "codec": codec, "sample_rate": format.sample_rate })
}

fn kind_of(kind: &FieldKind) -> &str {
    match kind {
        FieldKind::Text => "text",
        FieldKind::Password => "password",
        FieldKind::Multiline => "multiline",
        FieldKind::Number => "number",
        FieldKind::Boolean => "boolean",
        FieldKind::Choice => "choice",
        FieldKind::ReadOnly => "read-only",
        FieldKind::Other(name) => name,
    }
}

fn name_of(ability: Ability) -> &'static str {
    match ability {
        Ability::Place => "place",
        Ability::AnswerByReply => "answer-by-reply",
        Ability::AnswerByCommand => "answer-by-command",
        Ability::HangUp => "hang-up",
        Ability::Inspect => "inspect",
        Ability::Transfer => "transfer",
        Ability::BindNumber => "bind-number",
        Ability::ListNumbers => "list-numbers",
        Ability::Media => "media",
        Ability::DtmfOut => "dtmf-out",
        Ability::AnsweringMachineDetection => "answering-machine-detection",
    }
}
